"""What is wrong with a machine, an etcd or a cluster, and what to change: looked at while it lives, changed by nobody.

The law of this package: looking (`machine`, `store`, `cluster`) brings plain values; judging is pure, and each finding
says what was seen, whether that is well, and if not what to do. Where nothing could be seen, that is a finding too.
"""

from everlease.doctor.findings import BAD, OK, WARN, Finding

__all__ = ["BAD", "OK", "WARN", "Finding"]

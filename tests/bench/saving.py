"""`./tests/run.sh bench-saving`: what backups cost the clients that are served meanwhile: the incident was a backup.

One is made after the other, without a rest between them; they may move nothing by more than the machine itself does.
"""

from __future__ import annotations

import sys

from bench import beside

BACKUPS = beside.Work("a backup", "bench.saver", leases=100_000, rate=1000, may_move=None)

if __name__ == "__main__":
    sys.exit(beside.main(BACKUPS, __doc__))

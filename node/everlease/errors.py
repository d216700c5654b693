"""One root for every error of the project, named by whose fault it is.

`WireError` is the peer's, `ConfigError` the operator's, `StoreError` etcd's. Nothing else may leave the layer that
raises them.
"""

from __future__ import annotations


class EverleaseError(Exception):
    """Root of the errors that Everlease raises on purpose. `reason` is a short, stable word for counters and logs."""

    reason = "error"


class WireError(EverleaseError):
    """Bytes from the network that are not a message we can read."""

    reason = "malformed"


class ConfigError(EverleaseError):
    """Something that the operator wrote, and can mend: a flag, a document, a machine's set-up."""

    reason = "config"


class StoreError(EverleaseError):
    """etcd refused or did not answer. Never a reason for a NAK."""

    reason = "unavailable"

"""The next version, doctored: it writes fields that this one does not know, and keeps some of them in `more`."""

from __future__ import annotations

import json

import everlease

VERSION = "99.0.0"
KEPT = {"vlan": 7}
"""What it keeps with each lease that it grants, and wants to find again."""

everlease.__version__ = VERSION

from everlease.cli.main import main  # noqa: E402  (the version comes first)
from everlease.core.lifecycle import Lease  # noqa: E402
from everlease.store import records, txn  # noqa: E402

_encode_lease, _encode = records.encode_lease, records.encode


def encode_lease(lease: Lease) -> bytes:
    """With what the next version keeps, and with a field that nobody knows."""
    lease.more = lease.more or json.dumps(KEPT).encode()
    return _with_future(_encode_lease(lease))


def encode(record: records.Presence | records.Current | records.ReservationRecord) -> bytes:
    """With a field that nobody knows."""
    return _with_future(_encode(record))


def _with_future(value: bytes) -> bytes:
    return json.dumps({**json.loads(value), "future": [1, {"of": "whatever"}]}, separators=(",", ":")).encode()


if __name__ == "__main__":
    txn.encode_lease = encode_lease
    records.encode = encode
    main()

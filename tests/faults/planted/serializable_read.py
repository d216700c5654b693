"""The bug: whether an address is free is read from the nearest member, serializably, and then simply written.

The nearest member is PLANTED_MEMBER, a URL of etcd.
"""

from __future__ import annotations

import os

import grpc

from everlease.cli.main import main
from everlease.core.actions import Change
from everlease.core.lifecycle import Row
from everlease.pb.etcd.v1 import etcd_pb2 as pb
from everlease.runtime import committer
from everlease.store.channel import target_of
from everlease.store.keys import Keys
from everlease.store.records import decode_row
from everlease.store.txn import Leaf, plan
from everlease.store.view import View

_KEYS = Keys()


def _read(key: bytes) -> Row | None:
    with grpc.insecure_channel(target_of(os.environ["PLANTED_MEMBER"])[0]) as channel:
        ask = channel.unary_unary(
            "/etcdserverpb.KV/Range",
            request_serializer=pb.RangeRequest.SerializeToString,
            response_deserializer=pb.RangeResponse.FromString,
        )
        found = ask(pb.RangeRequest(key=key, serializable=True), timeout=2.0).kvs
    return decode_row(found[0].value, found[0].mod_revision)[0] if found else None


def _row(_self: View, space: str, address: int) -> Row | None:
    return _read(_KEYS.lease(space, address))


def _plan(keys: Keys, change: Change) -> Leaf:
    leaf = plan(keys, change)
    leaf.expect = {}
    return leaf


if __name__ == "__main__":
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    View.row = _row  # type: ignore[assignment, method-assign]
    committer.plan = _plan  # type: ignore[attr-defined]
    main()

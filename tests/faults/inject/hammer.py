"""Somebody else's program on the same etcd: `python -m faults.inject.hammer fill|puts|reads HOST:PORT...`.

fill: the history of one key grows until etcd has no room (exit code 0 then); puts, reads: small writes, or reads of
everything there is, more at once than a store on one machine can take, until killed.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable

from everlease.errors import StoreError
from everlease.pb.etcd.v1 import etcd_pb2 as pb
from everlease.store.api import NoSpace
from everlease.store.channel import Channel, Credentials, store_error
from everlease.store.rpc import RpcError

VALUE = 300_000
"""Octets of one version of the ballast; etcd refuses requests beyond 1.5 MB."""

AT_ONCE = 24
PUTS = 100
"""Writes in one transaction: 10,000 puts/s are 100 calls/s."""


async def fill(channels: list[Channel]) -> None:
    """Overwrite one key until the store refuses."""
    put = pb.RequestOp(request_put=pb.PutRequest(key=b"/others/ballast", value=bytes(VALUE)))
    request = pb.TxnRequest(success=[put]).SerializeToString()
    try:
        while True:
            await channels[0].txn(request, deadline=10)
    except RpcError as error:
        if not isinstance(store_error(error), NoSpace):
            raise


async def puts(channels: list[Channel], number: int) -> None:
    """Small writes, many in a transaction."""
    keys = [b"/others/%d/%d" % (number, place) for place in range(PUTS)]
    operations = [pb.RequestOp(request_put=pb.PutRequest(key=key, value=bytes(100))) for key in keys]
    request = pb.TxnRequest(success=operations).SerializeToString()
    while True:
        await _patiently(channels[number % len(channels)].txn(request, deadline=5))


async def reads(channels: list[Channel], number: int) -> None:
    """Everything, again and again."""
    request = pb.RangeRequest(key=b"\0", range_end=b"\0")
    while True:
        await _patiently(channels[number % len(channels)].range(request, deadline=5))


async def _patiently(call: Awaitable[object]) -> None:
    try:
        await call
    except RpcError as error:
        if isinstance(store_error(error), StoreError):  # it is overloaded: that is the point
            await asyncio.sleep(0.05)


async def main(work: str, targets: list[str]) -> None:
    """The command line."""
    channels = [Channel(target, Credentials()) for target in targets]
    if work == "fill":
        await fill(channels)
    else:
        act = {"puts": puts, "reads": reads}[work]
        await asyncio.gather(*(act(channels, number) for number in range(AT_ONCE)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))

"""ReleaseLease and ClearDeclined: an operator takes back what a client was promised, or what a client warned of.

The law of this file: taking back a promise frees nothing before its committed end, because its client may not hear of
it; only `now` does, and the operator is told who may still use the address.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from math import ceil, floor
from typing import Final

import grpc
from google.rpc.code_pb2 import Code
from msgspec.structs import replace

from everlease.admin import audit
from everlease.admin.answers import Refusal, config_of, invalid, not_found
from everlease.admin.commits import Known, aborted, check_etag, check_fit, commit, decoded, to_its_end
from everlease.admin.convert import address_of, dotted, space_of, utc
from everlease.admin.listing import Listing
from everlease.admin.pages import breathing
from everlease.core.actions import RELEASE, Change
from everlease.core.lifecycle import DECLINED, OFFERED, RELEASED, WITHDRAWN, Lease
from everlease.pb.admin.v1 import lease_service_pb2 as pb
from everlease.runtime.rooms import Rooms

TOLD: Final = 100
"""Addresses that ClearDeclined names in its answer."""

_AROUND: Final = 50
"""/24 blocks looked at between two turns of the loop."""


class Freeing:
    """Ends leases of one node's cluster."""

    def __init__(self, rooms: Rooms, listing: Listing) -> None:
        self._rooms = rooms
        self._listing = listing

    # --- releasing ----------------------------------------------------------------------------------------------------

    async def release(
        self, request: pb.ReleaseLeaseRequest, context: grpc.aio.ServicerContext
    ) -> pb.ReleaseLeaseResponse:
        """The lease as it is afterwards, or would be."""
        space, address = space_of(request.space), address_of(request.address, "address")
        before: list[Known] = []

        async def decide() -> tuple[Lease, Change | None]:
            found = await self._read(space, address)
            before[:] = [found]
            check_etag(request.etag, found[2])
            after = self._released(found, now=request.now)
            return (found[1], None) if after is None else (after, _change(space, found, after))

        async def carry_out() -> pb.ReleaseLeaseResponse:
            lease, revision = await commit(self._rooms, decide)
            answer = self._answer(space, before[0], (address, lease, revision or before[0][2]))
            if revision:
                was = self._listing.message(space, *before[0])
                audit.record(context, answer.lease.name, was, answer.lease, revision)
            return answer

        if request.validate_only:
            lease, change = await decide()
            return self._answer(space, before[0], (address, lease, 0 if change else before[0][2]))
        return await to_its_end(carry_out())

    def _released(self, found: Known, *, now: bool) -> Lease | None:
        """The record to put; None where there is nothing to take back."""
        address, lease, _ = found
        if lease.state == DECLINED:
            raise Refusal(Code.FAILED_PRECONDITION, f"{dotted(address)} was declined: ClearDeclined makes it usable")
        given_back = lease.state == RELEASED and (lease.valid != WITHDRAWN or not now)
        if given_back or self._rooms.clock.now() >= lease.expires_at:
            return None
        if now:
            return replace(lease, state=RELEASED, **self._over(lease))
        return replace(lease, state=RELEASED, valid=WITHDRAWN)

    def _over(self, lease: Lease) -> dict[str, int]:
        """An end that is past by every node's clock."""
        margin = config_of(self._rooms).cluster.clock_margin
        return {"expires_at": min(lease.expires_at, floor(self._rooms.clock.reuse_now()) - ceil(margin))}

    def _answer(self, space: str, before: Known, after: Known) -> pb.ReleaseLeaseResponse:
        answer = pb.ReleaseLeaseResponse(lease=self._listing.message(space, *after))
        was, now, where = before[1], self._rooms.clock.now(), dotted(before[0])
        holder = was.hardware.hex(":") or was.client.hex(":")
        if after[1].expires_at > now:
            answer.warning = f"{where} stays unusable for others until {utc(after[1].expires_at)}, its committed end"
        elif was.expires_at > now and was.state != OFFERED:
            answer.warning = (
                f"client {holder} was promised {where} until {utc(was.expires_at)}, and others may get it now: "
                "if it still uses it, two hosts have one address"
            )
        return answer

    # --- clearing -----------------------------------------------------------------------------------------------------

    async def clear(
        self, request: pb.ClearDeclinedRequest, context: grpc.aio.ServicerContext
    ) -> pb.ClearDeclinedResponse:
        """How many, and which."""
        config = config_of(self._rooms)
        scope = request.WhichOneof("scope")
        if scope == "address":
            return await self._clear_one(request, context)
        if scope != "subnet":
            raise invalid("scope", "say what to clear: an address or a subnet")
        if request.etag:
            raise invalid("etag", "belongs to an address, not to a subnet")
        if request.subnet not in config.subnets:
            raise not_found(f"configuration {config.revision} has no subnet {request.subnet}")
        return await self._clear_subnet(request, context)

    async def _clear_one(
        self, request: pb.ClearDeclinedRequest, context: grpc.aio.ServicerContext
    ) -> pb.ClearDeclinedResponse:
        space, address = space_of(request.space), address_of(request.address, "address")
        found = await self._read(space, address)
        check_etag(request.etag, found[2])
        if not self._on_probation(found[1]):
            state = pb.LeaseState.Name(self._listing.message(space, *found).state).removeprefix("LEASE_STATE_").lower()
            raise Refusal(Code.FAILED_PRECONDITION, f"{request.address} is not declined: it is {state}")
        if not request.validate_only and not await to_its_end(self._clear(space, found, context)):
            raise aborted("somebody else has changed it: read it again")
        return pb.ClearDeclinedResponse(cleared_count=1, addresses=[dotted(address)])

    async def _clear_subnet(
        self, request: pb.ClearDeclinedRequest, context: grpc.aio.ServicerContext
    ) -> pb.ClearDeclinedResponse:
        space = config_of(self._rooms).subnets[request.subnet].space
        answer = pb.ClearDeclinedResponse()
        async for address in self._declined(request.subnet):
            try:
                found = await self._read(space, address)
            except Refusal:
                answer.skipped_count += 1
                continue
            if not self._on_probation(found[1]):
                answer.skipped_count += 1
            elif request.validate_only or await to_its_end(self._clear(space, found, context)):
                answer.cleared_count += 1
                if len(answer.addresses) < TOLD:
                    answer.addresses.append(dotted(address))
            else:
                answer.skipped_count += 1
        return answer

    async def _declined(self, number: int) -> AsyncIterator[int]:
        """Addresses of a subnet whose records this node's view shows as declined."""
        subnet, view = config_of(self._rooms).subnets[number], self._rooms.view
        first, last = subnet.prefix, subnet.prefix | (0xFFFFFFFF >> subnet.length)
        async for block in breathing(range(first >> 8, (last >> 8) + 1), _AROUND):
            mask = view.taken(subnet.space, block)
            while mask:
                address = block << 8 | (mask & -mask).bit_length() - 1
                mask &= mask - 1
                row = view.row(subnet.space, address)
                if row is not None and row.state == DECLINED and subnet.holds(address):
                    yield address

    async def _clear(self, space: str, found: Known, context: grpc.aio.ServicerContext) -> bool:
        """Whether the address is usable again; False: its record was changed meanwhile."""
        address, lease, _ = found
        after = replace(lease, state=RELEASED, **self._over(lease))

        async def decide() -> tuple[Lease, Change | None]:
            row = self._rooms.view.row(space, address)
            same = row is None or row.revision <= found[2]
            return after, _change(space, found, after) if same else None

        cleared, revision = await commit(self._rooms, decide)
        if revision:
            was, now = (self._listing.message(space, *each) for each in (found, (address, cleared, revision)))
            audit.record(context, now.name, was, now, revision)
        return bool(revision)

    def _on_probation(self, lease: Lease) -> bool:
        return lease.state == DECLINED and self._rooms.clock.now() < lease.expires_at

    async def _read(self, space: str, address: int) -> Known:
        """The record as etcd has it. Raises Refusal."""
        check_fit(self._rooms)
        record = await self._listing.at(space, address)
        return address, decoded(address, record), record.revision


def _change(space: str, found: Known, after: Lease) -> Change:
    """As a client's own RELEASE: the record alone, compared with what was read."""
    address, lease, revision = found
    return Change(RELEASE, space, address, lease.subnet, lease.client, revision, after)

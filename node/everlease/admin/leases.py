"""LeaseService: the records as etcd holds them, at one revision; binding, releasing and watching are other rooms' work.

The law of this file: what a caller is told is what etcd says, and what it changed is on record before it is told.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc

from everlease.admin.answers import answered, await_view, invalid, not_found
from everlease.admin.binding import Binding
from everlease.admin.convert import address_of, client_keys, octets_of, space_of
from everlease.admin.freeing import Freeing
from everlease.admin.listing import Found, Listing
from everlease.admin.pages import Token, breathing, filters_of, read_token, size_of, write_token
from everlease.admin.streams import streamed
from everlease.admin.watching import Watching
from everlease.pb.admin.v1 import lease_service_pb2 as pb
from everlease.pb.admin.v1 import lease_service_pb2_grpc
from everlease.runtime.rooms import Rooms


class LeaseService(lease_service_pb2_grpc.LeaseServiceServicer):
    """Reads, binds, frees and watches."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._listing = Listing(rooms)
        self._binding = Binding(rooms, self._listing)
        self._freeing = Freeing(rooms, self._listing)
        self._watching = Watching(rooms, self._listing)

    @answered
    async def ListLeases(
        self, request: pb.ListLeasesRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListLeasesResponse:
        """One page."""
        size, filters = size_of(request.page_size), filters_of(request)
        scan = self._listing.scan(request.space, request.subnet, read_token(request.page_token, filters))
        found = await self._listing.page(scan, size, self._listing.matcher(request))
        answer = pb.ListLeasesResponse(revision=scan.revision)
        async for part in self._listing.paced(found):
            for each in part:
                self._listing.tell(answer.leases.add(), scan.space, each)
        if not scan.ended:
            answer.next_page_token = write_token(Token(scan.revision, scan.after, filters))
        return answer

    @answered
    async def GetLease(self, request: pb.GetLeaseRequest, context: grpc.aio.ServicerContext) -> pb.Lease:
        """By address, or by client."""
        space = space_of(request.space)
        if request.WhichOneof("key") == "address":
            found = await self._listing.records(space, [address_of(request.address, "address")])
            missing = f"{request.address} has no lease record"
        elif request.client:
            found = await self._of_client(space, octets_of(request.client, "client"))
            missing = (
                f"client {request.client} has no lease; its other identifiers may: `lease list --client` looks at all"
            )
        else:
            raise invalid("key", "say which lease: an address or a client")
        if not found:
            raise not_found(missing)
        answer = pb.Lease()
        self._listing.tell(answer, space, max(found, key=lambda each: each[1].expires_at))
        return answer

    async def _of_client(self, space: str, octets: bytes) -> list[Found]:
        """The records that this node's view names for a client; etcd has the last word on each."""
        await_view(self._rooms)
        config, view = self._rooms.configuration.current, self._rooms.view
        keys = client_keys(octets)
        words = {key.hex() for key in keys}
        addresses: set[int] = set()
        async for number in breathing(list(config.subnets) if config else []):
            addresses.update(address for key in keys if (address := view.address_of(space, number, key)))
        return [each for each in await self._listing.records(space, sorted(addresses)) if each[1].client in words]

    @answered
    async def AddLease(self, request: pb.AddLeaseRequest, context: grpc.aio.ServicerContext) -> pb.Lease:
        """Bind an address to a client."""
        return await self._binding.add(request, context)

    @answered
    async def ReleaseLease(
        self, request: pb.ReleaseLeaseRequest, context: grpc.aio.ServicerContext
    ) -> pb.ReleaseLeaseResponse:
        """Take a binding back."""
        return await self._freeing.release(request, context)

    @answered
    async def ClearDeclined(
        self, request: pb.ClearDeclinedRequest, context: grpc.aio.ServicerContext
    ) -> pb.ClearDeclinedResponse:
        """End the probation of one address, or of a subnet's."""
        return await self._freeing.clear(request, context)

    @streamed
    def WatchLeases(
        self, request: pb.WatchLeasesRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.WatchLeasesResponse]:
        """Changes as they are made."""
        return self._watching.follow(request)

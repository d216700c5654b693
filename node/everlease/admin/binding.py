"""AddLease: an operator binds an address to a client, as if the client had asked for it.

The law of this file: the rules are `core.administer`'s, the compares those of a packet's grant; here they get their
words.
"""

from __future__ import annotations

from typing import Final

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import ResourceInfo

from everlease.admin import audit
from everlease.admin.answers import Refusal, config_of, invalid, unready
from everlease.admin.commits import Known, check_etag, commit, decoded, to_its_end
from everlease.admin.convert import address_of, dotted, octets_of, space_of, utc
from everlease.admin.listing import Listing
from everlease.core import administer
from everlease.core.actions import Change
from everlease.core.lifecycle import DECLINED, INFINITE, Lease
from everlease.core.model import Config, Subnet
from everlease.core.select import LIMITED_BROADCAST, subnet_of
from everlease.core.situation import Situation
from everlease.pb.admin.v1 import lease_service_pb2 as pb
from everlease.runtime.rooms import Rooms
from everlease.wire.hostname import clean_hostname
from everlease.wire.v4 import REQUEST, Packet

LONGEST_HARDWARE: Final = 16
LONGEST_IDENTIFIER: Final = 255
_HOST_NAME, _MESSAGE, _CLIENT_IDENTIFIER = 12, 53, 61


class Binding:
    """Binds addresses of one node's cluster."""

    def __init__(self, rooms: Rooms, listing: Listing) -> None:
        self._rooms = rooms
        self._listing = listing

    async def add(self, request: pb.AddLeaseRequest, context: grpc.aio.ServicerContext) -> pb.Lease:
        """The lease as it was made, or would be."""
        config_of(self._rooms)
        space, address = space_of(request.space), address_of(request.address, "address")
        packet, valid = _packet(request), _lifetime(request)
        before: list[Known] = []

        async def decide() -> tuple[Lease, Change]:
            before[:] = await self._refresh(space, address)
            check_etag(request.etag, before[0][2] if before else 0)
            return self._decide(packet, space, address, valid)

        async def carry_out() -> pb.Lease:
            lease, revision = await commit(self._rooms, decide)
            self._rooms.offers.forget(space, lease.client)  # it has an address now
            was = self._listing.message(space, *before[0]) if before else None
            made = self._listing.message(space, address, lease, revision)
            audit.record(context, made.name, was, made, revision)
            return made

        if request.validate_only:
            return self._listing.message(space, address, (await decide())[0], 0)
        return await to_its_end(carry_out())

    async def _refresh(self, space: str, address: int) -> list[Known]:
        """The record as etcd has it, if there is one; the view, on which the decision rests, has heard of it then."""
        record = await self._listing.at(space, address)
        self._rooms.view.apply(record)
        return [(address, decoded(address, record), record.revision)] if record.value is not None else []

    def _decide(self, packet: Packet, space: str, address: int, valid: int | None) -> tuple[Lease, Change]:
        config = config_of(self._rooms)
        subnet = subnet_of(config, address)
        if subnet is None or subnet.space != space:
            raise invalid("address", f"{dotted(address)} lies in no subnet of space {space}")
        query = administer.asked_for(packet, self._situation(config), subnet)
        if not query.client:
            raise invalid("hardware_address", f"subnet {subnet.id} knows its clients by it")
        change = administer.bind(query, subnet, address, valid)
        if isinstance(change, administer.Denied):
            raise self._refusal(change, subnet, space)
        assert change.lease is not None
        return change.lease, change

    def _situation(self, config: Config) -> Situation:
        rooms = self._rooms
        return Situation(
            now=rooms.clock.now(),
            reuse_now=rooms.clock.reuse_now(),
            config=config,
            view=rooms.view,
            offers=rooms.offers,
            peers=rooms.membership.peers("", 0),
            link=None,
            interface=(),
            local=0,
            source=0,
            source_port=0,
            destination=LIMITED_BROADCAST,
            may_grant=rooms.lifeline.clock_ok,
            restored=rooms.view.ghosts,
        )

    def _refusal(self, denied: administer.Denied, subnet: Subnet, space: str) -> Refusal:
        where, row = dotted(denied.address), denied.row
        if denied.why == administer.NO_PLACE:
            return invalid("address", f"{where} is in no pool of subnet {subnet.id}, and not reserved for this client")
        if denied.why == administer.UNKNOWN:
            return unready(
                f"subnet {subnet.id} serves reserved clients only (`unknown-clients: deny`): reserve {where}"
            )
        if denied.why == administer.RESERVED:
            words = f"{where} is reserved for somebody else"
        elif row is None:
            words = f"{where} is on offer to another client just now: try again"
        elif row.state == DECLINED:
            words = f"{where} was declined, and is on probation until {utc(row.expires_at)}: clear it first"
        elif denied.why == administer.ELSEWHERE:
            words = f"this client has {where} until {utc(row.expires_at)}: release that first"
        else:
            words = f"{where} is client {row.client.hex(':')}'s until {utc(row.expires_at)}"
        owner = row.client.hex(":") if row is not None else ""
        name = f"spaces/{space}/leases/{where}"
        detail = ResourceInfo(resource_type="lease", resource_name=name, owner=owner, description=words)
        return Refusal(Code.ALREADY_EXISTS, words, [detail])


def _packet(request: pb.AddLeaseRequest) -> Packet:
    """What the client would send. Raises Refusal."""
    if not request.hardware_address and not request.client_id:
        raise invalid("hardware_address", "say whose lease it is: a hardware address, a client identifier, or both")
    hardware = octets_of(request.hardware_address, "hardware_address") if request.hardware_address else b""
    if len(hardware) > LONGEST_HARDWARE:
        raise invalid("hardware_address", f"at most {LONGEST_HARDWARE} octets")
    options = {_MESSAGE: bytes((REQUEST,))}
    if request.client_id:
        options[_CLIENT_IDENTIFIER] = octets_of(request.client_id, "client_id")
        if not 2 <= len(options[_CLIENT_IDENTIFIER]) <= LONGEST_IDENTIFIER:
            raise invalid("client_id", f"2 to {LONGEST_IDENTIFIER} octets (RFC 2132 section 9.14)")
    if request.hostname:
        if clean_hostname(request.hostname.encode()) != request.hostname:
            raise invalid("hostname", f"{request.hostname!r} is no host name")
        options[_HOST_NAME] = request.hostname.encode()
    return Packet(hlen=len(hardware), chaddr=hardware, options=options)


def _lifetime(request: pb.AddLeaseRequest) -> int | None:
    if not request.HasField("valid_lifetime"):
        return None
    wanted: Duration = request.valid_lifetime
    if wanted.nanos or not 0 < wanted.seconds < INFINITE:
        raise invalid("valid_lifetime", f"whole seconds, from 1 to {INFINITE - 1}")
    return int(wanted.seconds)

"""ExplainService: the decision that a client's DISCOVER would meet (`core.explain`), and its reasons in words.

The law of this file: nothing is decided here; a place is turned into the packet path's own situation, and what
`core.explain` says of it into words. It is told from the point of view of the node that would answer first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import grpc

from everlease.admin.answers import answered, config_of, invalid
from everlease.admin.convert import address_of, dotted, duration, octets_of
from everlease.core import discover
from everlease.core.explain import Explanation, explain_first
from everlease.core.model import ACTIVE, Config, Subnet
from everlease.core.select import LIMITED_BROADCAST
from everlease.core.situation import Peers, Situation
from everlease.errors import WireError
from everlease.pb.admin.v1 import explain_service_pb2 as pb
from everlease.pb.admin.v1 import explain_service_pb2_grpc
from everlease.runtime.rooms import Rooms
from everlease.store.records import undotted
from everlease.wire import options4
from everlease.wire import v4 as wire
from everlease.wire.kinds import Value

LONGEST_HARDWARE: Final = 16
_OWN_OPTIONS: Final = frozenset((0, 52, 53, 61, 255))
_LIFETIME, _IDENTIFIER = 51, 54

HOW: Final = {
    "relay": "the subnet lists this relay",
    "giaddr": "the relay's address (giaddr) lies in its prefix",
    "link": "it names this link",
    "interface": "the link's own address lies in its prefix",
    "link-selection": "the relay names it (option 82 link selection, RFC 3527)",
    "subnet-selection": "the client names it (option 118, RFC 3011)",
}
SOURCES: Final = {
    discover.RESERVATION: "it is reserved for this client",
    discover.CURRENT: "the client has it now",
    discover.PREVIOUS: "the client had it before, and it is still free",
    discover.ON_OFFER: "it is on offer to this client already",
    discover.REQUESTED: "the client asks for it (option 50), and it is free",
    discover.POOL: "it is the client's first choice among the free addresses of its pools",
}
SILENCES: Final = {
    "no_subnet": "no subnet of the configuration serves that place",
    "bad_relay": "no subnet accepts that relay: list it under `relays`",
    "no_address": "no address is free in the pools that the client may use",
    "class_drop": "a class that the client is in has `action: drop`",
    "unknown_client": "the subnet serves reserved clients only (`unknown-clients: deny`)",
    "draining": "the subnet, or every pool that the client may use, is draining: renewals only",
    "disabled": "the subnet, or every pool that the client may use, is disabled",
    "clock": "this host's clock differs from the cluster's: it grants nothing",
    "unavailable": "the store has no leader: nothing new is granted",
    "malformed": "the message names nobody, or an option is malformed",
    "loop": "that relay address is this node's own",
    "too_large": "the answer does not fit into what the client accepts",
}


@dataclass(slots=True)
class _Scene:
    """A client's place. link: its name in presence, "" behind a relay; own: a serving node's addresses there."""

    peers: Peers
    link: str
    relay: int
    own: tuple[int, ...]
    steps: list[str] = field(default_factory=list)


class ExplainService(explain_service_pb2_grpc.ExplainServiceServicer):
    """Reads only."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    @answered
    async def Explain(self, request: pb.ExplainRequest, context: grpc.aio.ServicerContext) -> pb.ExplainResponse:
        """What the client would be answered."""
        config = config_of(self._rooms)
        packet = _packet(request)
        scene = self._scene(request)
        packet.giaddr = scene.relay
        told = explain_first(packet, self._situation(scene, config))
        return _answer(told, scene, config, self._rooms.name)

    # --- where it is --------------------------------------------------------------------------------------------------

    def _scene(self, request: pb.ExplainRequest) -> _Scene:
        membership = self._rooms.membership
        if request.relay:
            relay = address_of(request.relay, "relay")
            own = membership.own
            heard = own is not None and request.relay in own.presence.relays
            peers = self._without_me(membership.peers("", relay), heard)
            return _Scene(peers, "", relay, (), [f"heard through relay {request.relay}"])
        served = self._links()
        link = request.link or (next(iter(served)) if len(served) == 1 else "")
        place = membership.places.get(link, link)
        if not link:
            raise invalid("location", f"say where the client is: a relay, or a link of {', '.join(served) or 'none'}")
        if place not in served:
            raise invalid("link", f"no node serves {link!r}; links that are served: {', '.join(served) or 'none'}")
        peers = self._without_me(membership.peers(link, 0), place in membership.links)
        return _Scene(peers, link, 0, served[place], [f"heard on link {link}"])

    def _without_me(self, peers: Peers, here: bool) -> Peers:
        """The packet path asks only about what it heard; here somebody may ask about another node's clients."""
        names = peers.names - {peers.me}
        if here or not names:
            return peers
        order = tuple(tuple(name for name in each if name != peers.me) for each in peers.order)
        return Peers(peers.me, names, order, peers.owned, peers.identifiers)

    def _links(self) -> dict[str, tuple[int, ...]]:
        """Links that any node serves, with that node's addresses; our own word first."""
        membership = self._rooms.membership
        found = {link: own for link, own in membership.links.items() if link}
        for member in membership.members.values():
            for link, addresses in member.presence.links.items():
                if link:
                    found.setdefault(link, tuple(map(undotted, addresses)))
        return found

    def _situation(self, scene: _Scene, config: Config) -> Situation:
        """As the packet path fills it; `answer_all`, because whose turn it is, is a question of its own."""
        rooms = self._rooms
        own = scene.own or next(iter(rooms.membership.links.values()), ()) or (0,)
        return Situation(
            now=rooms.clock.now(),
            reuse_now=rooms.clock.reuse_now(),
            config=config,
            view=rooms.view,
            offers=rooms.offers,
            peers=scene.peers,
            link=scene.link or None,
            interface=tuple((address, 32) for address in scene.own),
            local=own[0],
            source=scene.relay,
            source_port=67 if scene.relay else 68,
            destination=own[0] if scene.relay else LIMITED_BROADCAST,
            may_grant=rooms.lifeline.clock_ok,
            extending=rooms.lifeline.state == "extending",
            answer_all=True,
            restored=rooms.view.ghosts,
        )


# --- what it gets -----------------------------------------------------------------------------------------------------


def _answer(told: Explanation, scene: _Scene, config: Config, me: str) -> pb.ExplainResponse:
    """The explanation as the API tells it. me: the node that was asked."""
    if not told.answers:
        return _silent(told.reason, scene.steps)
    steps = [*scene.steps, *_client_steps(told, config)]
    if told.address:
        steps.append(f"{dotted(told.address)}: {SOURCES[told.source]}")
    reason = told.reason or told.silence
    answer = _offer(told, steps, config) if told.answer is not None and not reason else _silent(reason, steps)
    answer.classes.extend(told.classes)
    answer.client = told.client.hex(":")
    answer.node = told.answers[0]
    answer.steps.extend(_order_steps(told, me))
    return answer


def _offer(told: Explanation, steps: list[str], config: Config) -> pb.ExplainResponse:
    packet = told.answer
    assert packet is not None
    if told.action.startswith("commit"):
        steps.append("the answer leaves after a commit in etcd")
    return pb.ExplainResponse(
        outcome=pb.EXPLAIN_OUTCOME_OFFER,
        subnet=told.subnet,
        subnet_name=config.subnets[told.subnet].name,
        address=dotted(packet.yiaddr),
        valid_lifetime=duration(int.from_bytes(packet.options.get(_LIFETIME, b""), "big")),
        server_identifier=dotted(int.from_bytes(packet.options.get(_IDENTIFIER, b""), "big")),
        options=_options(packet, config.option_names),
        steps=steps,
    )


def _silent(reason: str, steps: list[str]) -> pb.ExplainResponse:
    words = SILENCES.get(reason, "dropped")
    return pb.ExplainResponse(
        outcome=pb.EXPLAIN_OUTCOME_SILENCE, reason=reason, steps=[*steps, f"silence ({reason}): {words}"]
    )


def _client_steps(told: Explanation, config: Config) -> Iterator[str]:
    """The network, the classes, the reservations and the records that the client already has."""
    subnets = [config.subnets[number] for number in told.subnets]
    names = ", ".join(f"{each.id} ({each.name})" if each.name else str(each.id) for each in subnets)
    shared = f" of shared network {told.network}" if told.network else ""
    yield f"subnet {names}{shared}: {HOW[told.found_by]}"
    yield f"in classes {', '.join(told.classes)}" if told.classes else "in no client class"
    for number, reservation in told.reservations:
        kept = f"keeps {dotted(reservation.address)}" if reservation.address else "gives it parameters"
        yield f"a reservation in subnet {number} by {reservation.kind} {kept}"
    for each in told.candidates:
        if each.source == "binding":
            yield f"its last lease in subnet {each.subnet} was {dotted(each.address)}"
    for subnet in subnets:
        yield from _shut(subnet, told.classes)


def _shut(subnet: Subnet, classes: tuple[str, ...]) -> Iterator[str]:
    """What gives nothing new, of what the client may use."""
    if subnet.state != ACTIVE:
        yield f"subnet {subnet.id} is {subnet.state}"
    for pool in subnet.pools:
        if pool.state != ACTIVE and (not pool.classes or not pool.classes.isdisjoint(classes)):
            yield f"pool {dotted(pool.first)}-{dotted(pool.last)} of subnet {subnet.id} is {pool.state}"


def _order_steps(told: Explanation, me: str) -> Iterator[str]:
    first, *others = told.answers
    then = f", on a retransmission {others[0]}" if others else ""
    yield f"{first} answers first (bucket {told.bucket}){then}"
    # Another node's memory could hold a different offer only where no record or rule names the address.
    if first != me and told.source not in ("", discover.RESERVATION, discover.CURRENT):
        yield f"{first} may have another address on offer in its own memory, for seconds"


def _packet(request: pb.ExplainRequest) -> wire.Packet:
    hardware = octets_of(request.hardware_address, "hardware_address")
    if len(hardware) > LONGEST_HARDWARE:
        raise invalid("hardware_address", f"at most {LONGEST_HARDWARE} octets")
    options = {53: bytes((wire.DISCOVER,))}
    if request.client_id:
        options[61] = octets_of(request.client_id, "client_id")
    for code, value in request.options.items():
        if not 0 < code < 255 or code in _OWN_OPTIONS:
            raise invalid("options", f"option {code} cannot be given here")
        options[code] = value
    packet = wire.Packet(hlen=len(hardware), chaddr=hardware, options=options)
    try:
        return wire.parse(wire.build(packet, maximum=wire.LONGEST))
    except WireError as error:
        raise invalid("options", str(error)) from error


def _options(packet: wire.Packet, names: Mapping[int, str]) -> list[pb.ExplainedOption]:
    found = []
    for code, data in packet.options.items():
        option = options4.by_code.get(code)
        name = names.get(code) or (option.name if option else "")
        found.append(pb.ExplainedOption(code=code, name=name, value=_shown(options4.show(code, data))))
    return found


def _shown(value: Value) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)

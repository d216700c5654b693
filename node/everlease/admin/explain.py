"""ExplainService: the decision that a client's DISCOVER would meet, and its reasons in words.

The law of this file: what is said is what the packet path computes, by the same functions; nothing is written, held or
sent. It is told from the point of view of the node that would answer first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import grpc

from everlease.admin.answers import answered, invalid, unready
from everlease.admin.convert import address_of, dotted, duration, octets_of
from everlease.core import discover, v4
from everlease.core.actions import Commit, Drop, Reply
from everlease.core.answering import owned_mask, rank
from everlease.core.model import Config, Subnet
from everlease.core.query import Query
from everlease.core.select import LIMITED_BROADCAST
from everlease.core.situation import ALL_BUCKETS, Peers, Situation
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
    "draining": "the subnet is draining: renewals only",
    "disabled": "the subnet is disabled",
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
        config = self._rooms.configuration.current
        if config is None:
            raise unready("the cluster has no configuration yet: `everlease config apply FILE`")
        packet = _packet(request)
        scene = self._scene(request)
        packet.giaddr = scene.relay
        situation = self._situation(scene, config)
        query = v4.understand(packet, situation)
        if isinstance(query, Drop):
            return _silent(scene, query.reason)
        return self._explain(query, scene)

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

    # --- what it gets -------------------------------------------------------------------------------------------------

    def _explain(self, query: Query, scene: _Scene) -> pb.ExplainResponse:
        order = rank(query.situation.peers, query.hash & 255)
        query.situation.peers = _seen_by(order[0], scene.peers)
        _tell_client(query, scene)
        choice = discover.choose(query)
        if isinstance(choice, str):
            answer = _silent(scene, choice)
        else:
            scene.steps.append(f"{dotted(choice.address)}: {SOURCES[choice.source]}")
            answer = self._offer(query, choice.subnet, scene)
        answer.classes.extend(each.name for each in query.classes)
        answer.client = query.client.hex(":")
        answer.node = order[0]
        then = f", on a retransmission {order[1]}" if len(order) > 1 else ""
        answer.steps.append(f"{order[0]} answers first (bucket {query.hash & 255}){then}")
        if order[0] != self._rooms.name and choice_in_memory(choice):
            answer.steps.append(f"{order[0]} may have another address on offer in its own memory, for seconds")
        return answer

    def _offer(self, query: Query, subnet: Subnet, scene: _Scene) -> pb.ExplainResponse:
        action = v4.decide(query.packet, query.situation)
        reply = action.then if isinstance(action, Commit) else action
        if not isinstance(reply, Reply):
            return _silent(scene, action.reason if isinstance(action, Drop) else "done")
        packet = wire.parse(reply.payload)
        if isinstance(action, Commit):
            scene.steps.append("the answer leaves after a commit in etcd")
        return pb.ExplainResponse(
            outcome=pb.EXPLAIN_OUTCOME_OFFER,
            subnet=subnet.id,
            subnet_name=subnet.name,
            address=dotted(packet.yiaddr),
            valid_lifetime=duration(int.from_bytes(packet.options.get(_LIFETIME, b""), "big")),
            server_identifier=dotted(int.from_bytes(packet.options.get(_IDENTIFIER, b""), "big")),
            options=_options(packet, query.situation.config.option_names),
            steps=scene.steps,
        )


def choice_in_memory(choice: discover.Choice | str) -> bool:
    """Whether another node's memory could hold a different offer: only where no record or rule names the address."""
    return isinstance(choice, discover.Choice) and choice.source not in (discover.RESERVATION, discover.CURRENT)


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


def _seen_by(name: str, peers: Peers) -> Peers:
    """The same candidates from another one's point of view."""
    owned = owned_mask(peers.order, name) if len(peers.names) > 1 else ALL_BUCKETS
    return Peers(name, peers.names, peers.order, owned, peers.identifiers)


def _tell_client(query: Query, scene: _Scene) -> None:
    """The network, the classes, the reservation and the record that the client already has."""
    network, how = query.network, HOW[query.place.how]
    names = ", ".join(f"{each.id} ({each.name})" if each.name else str(each.id) for each in network.subnets)
    shared = f" of shared network {network.name}" if network.name else ""
    scene.steps.append(f"subnet {names}{shared}: {how}")
    classes = ", ".join(each.name for each in query.classes)
    scene.steps.append(f"in classes {classes}" if classes else "in no client class")
    for subnet in network.subnets:
        reservation = query.reservation(subnet)
        if reservation is not None:
            kept = f"keeps {dotted(reservation.address)}" if reservation.address else "gives it parameters"
            scene.steps.append(f"a reservation in subnet {subnet.id} by {reservation.kind} {kept}")
        address = query.situation.view.address_of(subnet.space, subnet.id, query.client)
        if address:
            scene.steps.append(f"its last lease in subnet {subnet.id} was {dotted(address)}")


def _silent(scene: _Scene, reason: str) -> pb.ExplainResponse:
    words = SILENCES.get(reason, "dropped")
    return pb.ExplainResponse(
        outcome=pb.EXPLAIN_OUTCOME_SILENCE, reason=reason, steps=[*scene.steps, f"silence ({reason}): {words}"]
    )


def _options(packet: wire.Packet, names: Mapping[int, str]) -> list[pb.ExplainedOption]:
    found = []
    for code, data in packet.options.items():
        option = options4.by_code.get(code)
        name = names.get(code) or (option.name if option else "")
        found.append(pb.ExplainedOption(code=code, name=name, value=_shown(options4.show(code, data))))
    return found


def _shown(value: Value) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)

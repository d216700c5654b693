"""Where a client is: the network from which it gets its address, or why it gets nothing.

Option 82 link selection (RFC 3527) > option 118 (RFC 3011) > giaddr > ciaddr, if unicast > the link (its label, then
the interface's own address). The law of this file: an address that a stranger wrote chooses a network only if the
operator accepts that relay, or trusts that link.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from everlease.core.model import Config, Network, Subnet
from everlease.core.situation import Situation
from everlease.errors import WireError
from everlease.wire import relay4
from everlease.wire.v4 import Packet

RELAY_INFORMATION: Final = 82
SUBNET_SELECTION: Final = 118
LIMITED_BROADCAST: Final = 0xFFFFFFFF

MOST_RELAYS: Final = 1024
"""Relays whose network is kept per revision (each is asked for twice a packet); a stranger may send any giaddr."""

NO_RELAY: Final[Mapping[int, bytes]] = {}


class Place(msgspec.Struct, gc=False):
    """A client's network, how it was found (for people), and the relay information that may be believed.

    relay: sub-options of option 82, empty without one or where nobody vouches for it. selected: option 118 was obeyed,
    and must be echoed (RFC 3011 section 2).
    """

    network: Network
    how: str
    relay: Mapping[int, bytes]
    selected: bool = False


def subnet_of(config: Config, address: int) -> Subnet | None:
    """The subnet whose prefix holds an address."""
    for length, table in config.by_prefix.items():
        subnet = table.get(address >> (32 - length))
        if subnet is not None:
            return subnet
    return None


def subnet_in(network: Network, address: int) -> Subnet | None:
    """The member of a network whose prefix holds an address."""
    for subnet in network.subnets:
        if subnet.holds(address):
            return subnet
    return None


def accepts_relay(config: Config, giaddr: int) -> bool:
    """Whether the operator lets this relay choose a network."""
    return _by_relay(config, giaddr)[0] is not None


def is_unicast(situation: Situation) -> bool:
    """Whether the packet was sent to one server, not to a broadcast address (of a link, or of all)."""
    destination = situation.destination
    if destination in (LIMITED_BROADCAST, 0):
        return False
    for address, length in situation.interface:
        hosts = (1 << (32 - length)) - 1
        if length < 31 and destination == address | hosts:
            return False
    return True


def locate(packet: Packet, situation: Situation) -> Place | str:
    """The place of a packet, or the reason why it is dropped: no_subnet, bad_relay, loop, malformed."""
    config = situation.config
    if packet.giaddr:
        if _is_own(packet.giaddr, situation):
            return "loop"
        network, how = _by_relay(config, packet.giaddr)
    else:
        network, how = _by_ciaddr(packet, situation) if packet.ciaddr else _by_link(situation)
    if RELAY_INFORMATION not in packet.options and SUBNET_SELECTION not in packet.options:
        return how if network is None else Place(network, how, NO_RELAY)
    return _with_options(packet, config, network, how)


def _is_own(giaddr: int, situation: Situation) -> bool:
    interface = situation.interface
    if giaddr != situation.local and not (interface and any(giaddr == address for address, _ in interface)):
        return False
    # A relay agent on this very machine sends from its own address to a relay socket; anything else is our own echo.
    return situation.link is not None or situation.source != giaddr


def _by_relay(config: Config, giaddr: int) -> tuple[Network | None, str]:
    kept = config.derived.relays
    found = kept.get(giaddr)
    if found is None:
        if len(kept) >= MOST_RELAYS:
            del kept[next(iter(kept))]
        found = kept[giaddr] = _find_relay(config, giaddr)
    return found


def _find_relay(config: Config, giaddr: int) -> tuple[Network | None, str]:
    listed = config.by_relay.get(giaddr)
    if listed is not None:
        return listed, "relay"
    subnet = subnet_of(config, giaddr)
    if subnet is None or subnet.strict_relays:
        return None, "bad_relay"
    return config.network_of[subnet.id], "giaddr"


def _by_ciaddr(packet: Packet, situation: Situation) -> tuple[Network | None, str]:
    network, how = _by_link(situation)
    if not is_unicast(situation) or (network is not None and subnet_in(network, packet.ciaddr) is not None):
        return network, how
    subnet = subnet_of(situation.config, packet.ciaddr)
    return (None, "no_subnet") if subnet is None else (situation.config.network_of[subnet.id], "ciaddr")


def _by_link(situation: Situation) -> tuple[Network | None, str]:
    config = situation.config
    if situation.link is not None:
        named = config.by_link.get(situation.link)
        if named is not None:
            return named, "link"
        for address, _ in situation.interface:
            subnet = subnet_of(config, address)
            if subnet is not None:
                return config.network_of[subnet.id], "interface"
    return None, "no_subnet"


def _with_options(packet: Packet, config: Config, network: Network | None, how: str) -> Place | str:
    """Options 82 and 118: believed from an accepted relay, and without one only where the operator trusts the link."""
    trusted = packet.giaddr != 0 or (network is not None and any(s.trust_option_82 for s in network.subnets))
    if not trusted:
        return how if network is None else Place(network, how, NO_RELAY)
    try:
        raw = packet.options.get(RELAY_INFORMATION)
        relay = NO_RELAY if raw is None else relay4.parse(raw)
        named = relay4.link_selection(relay)
    except WireError as problem:
        return problem.reason
    wanted = packet.options.get(SUBNET_SELECTION)
    if named is not None:
        chosen, how = _chosen(packet, config, network, named), "link-selection"
    elif wanted is not None:
        chosen, how = _chosen(packet, config, network, int.from_bytes(wanted, "big")), "subnet-selection"
    else:
        return how if network is None else Place(network, how, relay)
    return chosen if isinstance(chosen, str) else Place(chosen, how, relay, selected=named is None)


def _chosen(packet: Packet, config: Config, base: Network | None, named: int) -> Network | str:
    """The network of the address `named`, if the namer may: a relay that the subnet lists, or one of its space."""
    subnet = subnet_of(config, named)
    if subnet is None:
        return "no_subnet"
    if packet.giaddr not in subnet.relays:
        if base is None or base.subnets[0].space != subnet.space:
            return "bad_relay"
        if subnet.strict_relays and packet.giaddr:
            return "bad_relay"
    return config.network_of[subnet.id]

"""The facts about a packet that client classes and reservations are matched on: octets by name.

The law of this file: a fact is what the packet says, unchanged; what nobody vouches for (option 82 from a client, where
the link does not trust it) is no fact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from everlease.core.classify import Facts
from everlease.core.model import ClientClass
from everlease.wire import relay4
from everlease.wire.options4 import by_code
from everlease.wire.v4 import Packet

HARDWARE, CLIENT_ID, CIRCUIT_ID, REMOTE_ID = "hw-address", "client-id", "circuit-id", "remote-id"

_OPTION_NAMES: Final = {code: option.name for code, option in by_code.items()}
_RELAY_INFORMATION: Final = 82
_CLIENT_IDENTIFIER: Final = 61


def facts(packet: Packet, relay: Mapping[int, bytes], link: str | None = None) -> Facts:
    """Options by their names (unknown ones as `option-224`), and hw-address, htype, client-id, giaddr, link,
    circuit-id, remote-id and the other sub-options of option 82.

    hw-address: chaddr without its type; htype: one octet; giaddr: four, absent if 0; relay: sub-options, trusted.
    """
    found = {
        _OPTION_NAMES.get(code) or f"option-{code}": value
        for code, value in packet.options.items()
        if code != _RELAY_INFORMATION
    }
    if _CLIENT_IDENTIFIER in packet.options:
        found[CLIENT_ID] = packet.options[_CLIENT_IDENTIFIER]
    for code, value in relay.items():
        found[relay4.NAMES.get(code) or f"relay-{code}"] = value
    found[HARDWARE] = packet.chaddr
    found["htype"] = bytes((packet.htype,))
    if packet.giaddr:
        found["giaddr"] = packet.giaddr.to_bytes(4, "big")
    if link is not None:
        found["link"] = link.encode()
    return found


def classes_of(classes: tuple[ClientClass, ...], known: Facts) -> tuple[ClientClass, ...]:
    """The classes that match, in the document's order."""
    return tuple(each for each in classes if each.match(known))


def identifiers(packet: Packet, relay: Mapping[int, bytes]) -> tuple[tuple[str, bytes], ...]:
    """What a reservation may name this client by, most telling first: (kind, value) as in `model.Reservation`."""
    found = []
    if packet.chaddr:
        found.append((HARDWARE, bytes((packet.htype,)) + packet.chaddr))
    if _CLIENT_IDENTIFIER in packet.options:
        found.append((CLIENT_ID, packet.options[_CLIENT_IDENTIFIER]))
    if relay:
        for kind, code in ((CIRCUIT_ID, relay4.CIRCUIT_ID), (REMOTE_ID, relay4.REMOTE_ID)):
            if code in relay:
                found.append((kind, relay[code]))
    return tuple(found)

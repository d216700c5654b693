"""From frames that tcpdump kept to packets of a history.

Law: a broadcast is heard in every namespace of its link; it is one packet, and belongs where it was seen first. A frame
seen twice in one place was there twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path

from bench.capture import frames
from everlease.core.identity import BY_CLIENT_ID, client_key
from everlease.store.records import dotted
from everlease.wire import v4
from faults.history.events import Packet
from lab.capture import Captured, read

SAME = 0.2
"""Seconds in which one frame reaches every namespace; no client sends the same octets again so soon."""

_OWN = frozenset((12, 50, 51, 53, 54, 58, 59, 61, 81, 82))
"""Options that are about this client or this lease, and not about the configuration."""


def of_file(file: Path) -> Iterator[Captured]:
    """The DHCP frames of a pcap file."""
    for at, frame in frames(file.read_bytes()):
        captured = read(frame, at, sent=False)
        if captured is not None and captured.packet is not None:
            yield captured


def packets(
    seen: Mapping[str, Iterable[Captured]], nodes: Mapping[str, str], identity: str = BY_CLIENT_ID
) -> list[Packet]:
    """Every packet once. seen: by place; nodes: address -> name; identity: the configuration's rule for client keys."""
    every = sorted(((each.time, place, each) for place, some in seen.items() for each in some), key=lambda row: row[:2])
    before: dict[tuple[bytes, int], tuple[float, str]] = {}
    homes: dict[bytes, str] = {}
    found: list[Packet] = []
    for at, place, captured in every:
        packet = captured.packet
        assert packet is not None
        mark = (captured.payload, captured.source)
        first_at, first_place = before.get(mark, (0.0, place))
        if at - first_at < SAME and place != first_place:
            continue
        before[mark] = (at, place)
        if packet.op == v4.BOOTREQUEST:
            homes[packet.chaddr] = place
        found.append(_packet(captured, packet, homes.get(packet.chaddr, place), nodes, identity))
    return found


def _packet(captured: Captured, packet: v4.Packet, place: str, nodes: Mapping[str, str], identity: str) -> Packet:
    options, reply = packet.options, packet.op == v4.BOOTREPLY
    source, server = dotted(captured.source), dotted(captured.server)
    asked = int.from_bytes(options.get(50, b""), "big") or packet.ciaddr
    return Packet(
        at=captured.time,
        place=place,
        kind=captured.kind,
        client=client_key(packet, identity).hex(),
        mac=packet.chaddr.hex(":"),
        xid=packet.xid,
        address=dotted(packet.yiaddr if reply else asked),
        node=(nodes.get(source) or nodes.get(server, "")) if reply else "",
        source=source,
        destination=dotted(captured.destination),
        server=server,
        ciaddr=dotted(packet.ciaddr),
        giaddr=dotted(packet.giaddr),
        secs=packet.secs,
        lifetime=_seconds(options, 51),
        t1=_seconds(options, 58),
        t2=_seconds(options, 59),
        asked_for=options.get(55, b"").hex(),
        rest=_rest(packet) if reply else "",
    )


def _seconds(options: Mapping[int, bytes], code: int) -> int:
    value = options.get(code)
    return -1 if value is None else int.from_bytes(value, "big")


def _rest(packet: v4.Packet) -> str:
    digest = blake2b(packet.siaddr.to_bytes(4, "big") + packet.sname + packet.file, digest_size=8)
    for code, value in packet.options.items():
        if code not in _OWN:
            digest.update(bytes((code, len(value) & 255)) + value)
    return digest.hexdigest()

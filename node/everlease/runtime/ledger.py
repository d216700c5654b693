"""One line for each binding (`--log-leases`): who was promised what, for how long, on which record; and its end.

The law of this file: a line is written after its packet has left, or its change is committed; it says what the packet
says, and never blocks: it goes through a queue, from which it is dropped and counted when nobody reads. Off by default:
it names clients, and costs as much as the rest of the packet.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from everlease import logs
from everlease.core.actions import CHANGE_NAMES, Change
from everlease.core.select import subnet_of
from everlease.core.situation import View
from everlease.runtime.exchange import Exchange
from everlease.store.records import dotted
from everlease.wire.hostname import clean_hostname
from everlease.wire.v4 import parse

HOSTNAME, LIFETIME, RELAY_INFORMATION = 12, 51, 82

LONGEST: Final = 255
"""Octets of relay agent information in a line."""

Write = Callable[[dict[str, Any]], None]
"""Takes the fields of one line, `event` among them."""


def to_log(fields: dict[str, Any]) -> None:
    """Into the node's log, at info."""
    logs.get().info(**fields)


def to_lines(lines: logs.Lines, node: str, pseudonyms: logs.Pseudonyms | None) -> Write:
    """As JSON into a stream of its own; the time first, by which a file knows its age."""

    def write(fields: dict[str, Any]) -> None:
        hidden = pseudonyms.hidden(fields) if pseudonyms else fields
        time = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        lines.msg(json.dumps({"timestamp": time, "node": node, **hidden}))

    return write


class Ledger:
    """Told of each ACK that left, and of each RELEASE and DECLINE that was committed.

    view: where the record's revision is looked up.
    """

    def __init__(self, view: View, write: Write = to_log) -> None:
        self._view = view
        self._write = write

    def acknowledged(self, exchange: Exchange, payload: bytes, operation: str, now: float) -> None:
        """Write the line; nothing for a reply to INFORM, which promises nothing. now: CLOCK_BOOTTIME.

        revision: etcd's, of the record that the promise rests on: a commit is written through before its reply leaves;
        age: seconds since the kernel had the packet; committing: since its change was started, 0 = nothing committed.
        """
        packet = parse(payload)
        lifetime = packet.options.get(LIFETIME)
        subnet = subnet_of(exchange.config, packet.yiaddr)
        if lifetime is None or subnet is None:
            return
        row = self._view.row(subnet.space, packet.yiaddr)
        self._write(
            {
                "event": "ack",
                "client": row.client.hex() if row is not None else "",
                "address": dotted(packet.yiaddr),
                "lifetime": int.from_bytes(lifetime, "big"),
                "revision": row.revision if row is not None else 0,
                **_circumstances(exchange, subnet.id),
                "operation": operation,
                "age": round(now - exchange.datagram.received_at, 6),
                "committing": round(now - exchange.started, 6) if exchange.commit is not None else 0.0,
            }
        )

    def ended(self, exchange: Exchange, change: Change) -> None:
        """Write the line of a RELEASE or DECLINE that is committed; `event` says which."""
        row = self._view.row(change.space, change.address)
        self._write(
            {
                "event": CHANGE_NAMES[change.kind],
                "client": change.client.hex(),
                "address": dotted(change.address),
                "revision": row.revision if row is not None else 0,
                **_circumstances(exchange, change.subnet),
            }
        )


def _circumstances(exchange: Exchange, subnet: int) -> dict[str, Any]:
    packet = exchange.packet
    return {
        "hardware": packet.chaddr.hex(":"),
        "hostname": clean_hostname(packet.options.get(HOSTNAME, b"")),
        "subnet": subnet,
        "link": exchange.endpoint.label or "",
        "relay": dotted(packet.giaddr),
        "option82": packet.options.get(RELAY_INFORMATION, b"")[:LONGEST].hex(),
        "config": exchange.config.revision,
        "xid": packet.xid,
    }

"""One line for each ACK that was sent (`--log-leases`): who was promised what, for how long, on which record.

The law of this file: a line is written after its packet has left, says what the packet says, and never blocks: it goes
the way of every log line, which is dropped and counted when nobody reads. Off by default: it names clients, and costs
as much as the rest of the packet.
"""

from __future__ import annotations

from typing import Final

from everlease import logs
from everlease.core.select import subnet_of
from everlease.core.situation import View
from everlease.runtime.exchange import Exchange
from everlease.store.records import dotted
from everlease.wire.v4 import parse

LIFETIME: Final = 51


class Ledger:
    """`acknowledged` is called for each ACK that left; view: where the record's revision is looked up."""

    def __init__(self, view: View) -> None:
        self._view = view

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
        logs.get().info(
            "ack",
            client=row.client.hex() if row is not None else "",
            address=dotted(packet.yiaddr),
            lifetime=int.from_bytes(lifetime, "big"),
            revision=row.revision if row is not None else 0,
            config=exchange.config.revision,
            operation=operation,
            xid=packet.xid,
            age=round(now - exchange.datagram.received_at, 6),
            committing=round(now - exchange.started, 6) if exchange.commit is not None else 0.0,
        )

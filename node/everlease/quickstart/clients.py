"""The quickstart's clients: udhcpc in a namespace of its own, or without root a client behind a relay of our own.

Both answer the same two questions: take a lease, and extend it, however often that needs to be asked.
"""

from __future__ import annotations

import random
import secrets
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final, Protocol

from everlease.lab.netns import Namespace
from everlease.lab.processes import LabError, Process, need, wait_until
from everlease.wire import v4

ATTEMPTS: Final = (1.0, 2.0, 4.0, 4.0, 4.0)
"""Seconds that our own client waits for an answer before it asks again."""

_SCRIPT: Final = """#!/bin/sh
case "$1" in
  bound|renew) ip addr replace "$ip/${mask:-24}" broadcast + dev "$interface"
               echo "$1 $ip $serverid $lease" >>"$EVENTS" ;;
  deconfig)    ip -4 addr flush dev "$interface" ;;
esac
"""


@dataclass(frozen=True, slots=True)
class Binding:
    """What a client was told: its address, the server identifier, and how many seconds the asking took."""

    address: str
    server: str
    seconds: float


class Client(Protocol):
    """A DHCP client that the story tells of."""

    program: str

    def bind(self) -> Binding:
        """Take a lease, from DISCOVER on. Raises LabError."""

    def extend(self) -> Binding:
        """Renew it, rebind if its server is silent. Raises LabError."""


class Udhcpc:
    """BusyBox's client as it is; SIGUSR1 makes it renew before its time."""

    program = "udhcpc"

    def __init__(self, namespace: Namespace, folder: Path, number: int) -> None:
        need(self.program)
        self._namespace = namespace
        self._events = folder / f"client-{number}.events"
        self._script = folder / "udhcpc.script"
        self._log = folder / f"client-{number}.log"
        self._events.touch()
        self._script.write_text(_SCRIPT)
        self._script.chmod(0o755)
        self._process: Process | None = None

    def bind(self) -> Binding:
        """Start it."""
        argv = ["udhcpc", "-f", "-i", "eth0", "-s", str(self._script), "-T", "3", "-t", "10"]
        seen = len(self._told())
        begun = time.monotonic()
        self._process = Process(self._namespace.command(argv), self._log, {"EVENTS": str(self._events)})
        return self._next(seen, begun)

    def extend(self) -> Binding:
        """SIGUSR1: three times by unicast to its server, then by broadcast to all."""
        if self._process is None:
            raise LabError("udhcpc was not started")
        seen = len(self._told())
        begun = time.monotonic()
        self._process.signal(10)
        return self._next(seen, begun)

    def _next(self, seen: int, begun: float) -> Binding:
        line = wait_until(lambda: (self._told()[seen:] or [""])[0], 40, f"udhcpc bound (its log: {self._log})")
        _event, address, server, _lease = line.split()
        return Binding(address, server, time.monotonic() - begun)

    def _told(self) -> list[str]:
        return self._events.read_text().splitlines()


class RelayedClient:
    """A client and its relay in one UDP socket of 127.0.0.1; every node is a helper address of the relay."""

    program = "the built-in client"

    def __init__(self, helpers: Sequence[tuple[str, int]]) -> None:
        self._helpers = helpers
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._hardware = b"\x02" + secrets.token_bytes(5)
        self._address = 0

    def bind(self) -> Binding:
        """DISCOVER and REQUEST."""
        begun = time.monotonic()
        offer = self._ask(v4.DISCOVER, {}, 0)
        chosen = {50: offer.yiaddr.to_bytes(4, "big"), 54: offer.options[54]}
        return self._bound(self._ask(v4.REQUEST, chosen, 0), begun)

    def extend(self) -> Binding:
        """REQUEST as in REBINDING: to every node."""
        begun = time.monotonic()
        return self._bound(self._ask(v4.REQUEST, {}, self._address), begun)

    def _bound(self, ack: v4.Packet, begun: float) -> Binding:
        if ack.message_type != v4.ACK:
            raise LabError(f"the client was refused: {v4.MESSAGE_NAMES[ack.message_type]}")
        self._address = ack.yiaddr
        server = str(IPv4Address(ack.options[54]))
        return Binding(str(IPv4Address(ack.yiaddr)), server, time.monotonic() - begun)

    def _ask(self, kind: int, options: dict[int, bytes], ciaddr: int) -> v4.Packet:
        xid = random.getrandbits(32)
        for wait in ATTEMPTS:
            request = v4.Packet(
                xid=xid, hops=1, ciaddr=ciaddr, giaddr=int(IPv4Address("127.0.0.1")), hlen=6,
                chaddr=self._hardware, options={53: bytes((kind,)), **options},
            )  # fmt: skip
            for helper in self._helpers:
                self._socket.sendto(v4.build(request), helper)
            until = time.monotonic() + wait
            while (left := until - time.monotonic()) > 0:
                if select.select([self._socket], [], [], left)[0]:
                    reply = v4.parse(self._socket.recv(4096))
                    if reply.xid == xid and reply.message_type in (v4.OFFER, v4.ACK, v4.NAK):
                        return reply
        raise LabError(f"no node answered the client's {v4.MESSAGE_NAMES[kind]}")

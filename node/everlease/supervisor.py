"""What systemd is told (sd_notify(3)): ready, the state in words, and that this process should be left alone.

The law of this file: the watchdog is fed by proof, not by a timer. A node that is silent for a reason outside of it (no
member answers, the store has no leader or no space, no configuration, a clock in doubt) is left alone, for a restart
mends none of that. One that proves nothing although the store is well is stuck, and is better started again.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from typing import Final

from everlease.runtime.lifeline import DEGRADED, JOINING
from everlease.runtime.rooms import Rooms

EVERY: Final = 1.0
"""Seconds between two looks; systemd asks for a sign of life within WatchdogSec=, and advises half of that."""


class Supervisor:
    """Tells whoever started the process, if that is somebody who listens. environment: of this process."""

    def __init__(self, rooms: Rooms, environment: Mapping[str, str] = os.environ) -> None:
        self._rooms = rooms
        self._target = environment.get("NOTIFY_SOCKET", "").replace("@", "\0", 1)
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._watched = mine and environment.get("WATCHDOG_USEC", "0") != "0"
        self._told = ""

    async def run(self) -> None:
        """Tell until cancelled. Begin when the sockets are open: from then on the node has its say by itself."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
            out.setblocking(False)
            self._send(out, "READY=1")
            while True:
                self._look(out)
                await asyncio.sleep(EVERY)

    def leaving(self) -> None:
        """The node drains: systemd waits TimeoutStopSec= from now on."""
        if self._target:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                self._send(out, "STOPPING=1")

    @property
    def listens(self) -> bool:
        """Whether anybody wants to be told."""
        return bool(self._target)

    def _look(self, out: socket.socket) -> None:
        lifeline = self._rooms.lifeline
        words = f"STATUS={lifeline.state}: {lifeline.reason}"
        if words != self._told and self._send(out, words):
            self._told = words
        if self._watched and not is_stuck(self._rooms):
            self._send(out, "WATCHDOG=1")

    def _send(self, out: socket.socket, words: str) -> bool:
        try:
            out.sendto(words.encode(), self._target)
        except OSError:  # it is busy, or gone: said again at the next look
            return False
        return True


def is_stuck(rooms: Rooms) -> bool:
    """Whether this node proves nothing although a member is up, has a leader and has room."""
    lifeline, store = rooms.lifeline, rooms.store
    if lifeline.state not in (JOINING, DEGRADED) or lifeline.is_excused():
        return False
    return any(store.is_up(member) for member in store.rank())

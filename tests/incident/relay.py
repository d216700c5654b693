"""The second half of a relay agent: perfdhcp fills in giaddr, and this sends what it sent to every server.

Law: nothing is changed, kept or repeated; replies go from the servers to giaddr and pass this by. ISC dhcrelay cannot
do it: on one interface it hears what it forwards, and forwards that, too.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Sequence

from bench.wires import Host

_PORT = 67


class Relay:
    """Inside its `with` block what comes to port 67 of `host` goes to each of `servers`, as it is."""

    def __init__(self, host: Host, servers: Sequence[str]) -> None:
        self._socket = host.place.call(lambda: _bound(host.address))
        self._servers = [(server, _PORT) for server in servers]
        self._ends = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ends[1].send(b"x")
        self._thread.join()
        for each in (self._socket, *self._ends):
            each.close()

    def _run(self) -> None:
        while True:
            ready, _, _ = select.select([self._socket, self._ends[0]], [], [])
            if self._ends[0] in ready:
                return
            payload = self._socket.recv(65536)
            for server in self._servers:
                self._socket.sendto(payload, server)


def _bound(address: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE: a busy machine must not lose questions here
    sock.bind((address, _PORT))
    return sock

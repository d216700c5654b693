"""A port of this machine's loopback that leads to one inside a namespace: for gRPC clients that live in the test.

Law: it adds nothing. Where nobody listens inside, the connection is closed at once, as a dead host's would be.
"""

from __future__ import annotations

import contextlib
import socket
import threading

from everlease.lab.processes import Place

_PIECE = 1 << 16


class Window:
    """`address` ("127.0.0.1:PORT") outside is `inside` ("127.0.0.1:9067") in the place."""

    def __init__(self, place: Place, inside: str) -> None:
        host, _, port = inside.rpartition(":")
        self._place = place
        self._inside = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, name=f"window {inside}", daemon=True).start()

    def close(self) -> None:
        """Let nobody in any more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                outer, _ = self._listener.accept()
                threading.Thread(target=self._lead, args=(outer,), daemon=True).start()

    def _lead(self, outer: socket.socket) -> None:
        try:
            inner = self._place.call(lambda: socket.create_connection(self._inside, timeout=5))
        except OSError:
            outer.close()
            return
        inner.settimeout(None)
        threading.Thread(target=_pour, args=(outer, inner), daemon=True).start()
        _pour(inner, outer)


def _pour(source: socket.socket, target: socket.socket) -> None:
    """Carry octets until one side is done, then end both: gRPC has no use for half a connection."""
    with contextlib.suppress(OSError):
        while piece := source.recv(_PIECE):
            target.sendall(piece)
    for side in (source, target):
        with contextlib.suppress(OSError):
            side.shutdown(socket.SHUT_RDWR)

"""What is sent to the admin port and is no request: refused with a clear word, nothing written, everybody served."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import grpc
import pytest

from badinput.besieged import Besieged
from badinput.test_bad_documents import ALIASES
from everlease.lab.processes import wait_until
from everlease.pb.admin.v1 import config_service_pb2 as pb
from lab.window import Window

pytestmark = [pytest.mark.root, pytest.mark.etcd]

APPLY, DRAIN, LIST = (
    f"/everlease.admin.v1.{each}"
    for each in ("ConfigService/ApplyConfig", "ClusterService/DrainNode", "LeaseService/ListLeases")
)
IDLE = 700
"""Connections; the server takes 512, and a process may have 1,024 open files by default."""

SETTINGS = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04\x00" + bytes(4)


def document(text: str) -> bytes:
    return pb.ApplyConfigRequest(document=text, force=True).SerializeToString()


def nested(depth: int) -> bytes:
    """A field that nobody knows, as groups within groups."""
    return b"\xa3\x06" * depth + b"\xa4\x06" * depth


CALLS: dict[str, tuple[str, Callable[[], bytes], str, str]] = {
    "an oversized message": (APPLY, lambda: document("#" * (33 << 20)), "RESOURCE_EXHAUSTED", "larger"),
    "groups within groups": (APPLY, lambda: nested(20_000), "INVALID_ARGUMENT", "not the message"),
    "20,000 brackets": (APPLY, lambda: document("[" * 20_000), "INVALID_ARGUMENT", "problem"),
    "20,000 braces": (APPLY, lambda: document('{"a":' * 20_000), "INVALID_ARGUMENT", "problem"),
    "aliases of aliases": (APPLY, lambda: document(ALIASES), "INVALID_ARGUMENT", "problem"),
    "unknown keys": (APPLY, lambda: document("subnetz: []"), "INVALID_ARGUMENT", "problem"),
    "text that is no UTF-8": (APPLY, lambda: b"\x0a\x02\xff\xfe", "INVALID_ARGUMENT", "not the message"),
    "a name that is no UTF-8": (DRAIN, lambda: b"\x0a\x04n\xc3\x28x", "INVALID_ARGUMENT", "not the message"),
    "unknown fields": (DRAIN, lambda: b"\x0a\x05node0\xf8\x07\x01", "INVALID_ARGUMENT", "does not know"),
    "unknown fields of a reader": (LIST, lambda: b"\xf8\x07\x01", "INVALID_ARGUMENT", "does not know"),
    "half a message": (LIST, lambda: b"\x0a\x7f", "INVALID_ARGUMENT", "not the message"),
    "noise": (APPLY, lambda: bytes(range(256)) * 100, "INVALID_ARGUMENT", "not the message"),
}


@pytest.fixture(scope="module")
def port(besieged: Besieged) -> Iterator[str]:
    """The admin port, as it is reached from here."""
    window = Window(besieged.node.place, besieged.node.admin)
    yield window.address
    window.close()


def written(besieged: Besieged) -> tuple[list[str], list[str]]:
    """What an administrator could have written."""
    return besieged.keys("v/config/"), besieged.keys("v/drains/")


@pytest.mark.parametrize(("method", "octets", "code", "words"), CALLS.values(), ids=CALLS)
def test_it_is_refused_with_a_clear_word_and_nothing_is_written(
    besieged: Besieged, port: str, method: str, octets: Callable[[], bytes], code: str, words: str
) -> None:
    before = written(besieged)
    options = (("grpc.max_send_message_length", -1),)
    with grpc.insecure_channel(port, options) as channel, pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(method)(octets(), timeout=30)
    assert refused.value.code().name == code
    assert words in refused.value.details()
    assert len(refused.value.details()) < 500
    assert written(besieged) == before
    besieged.serve_somebody()
    assert not besieged.faults()


def test_idle_connections_by_the_hundred_are_capped_and_clients_are_served(besieged: Besieged) -> None:
    files = besieged.node.metric("process_open_fds")

    def idle() -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", 9067), 5)
        connection.sendall(SETTINGS)
        return connection

    with ExitStack() as held:
        for connection in besieged.site.hosts[0].call(lambda: [idle() for _ in range(IDLE)]):
            held.enter_context(connection)
        besieged.serve_somebody()
        wait_until(lambda: besieged.node.metric("process_open_fds") <= files + 520, 20, "the others were let go")
        assert besieged.node.ready()
    wait_until(lambda: besieged.node.metric("process_open_fds") < files + 10, 20, "the node let go of all of them")
    assert "node0" in besieged.node.cli("cluster", "status")

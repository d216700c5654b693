"""Starts that must be refused: one clear line that names what to mend, the promised exit code, nothing left in etcd.

The commonest ones (a port in use, a missing interface, etcd that is away, a name that is taken) are in
tests/cluster/test_starting.py.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest

from startup.starting import LISTEN, Host

pytestmark = [pytest.mark.root, pytest.mark.etcd]

REFUSED, USAGE, UNREACHABLE = 1, 2, 3
Flags = Callable[[Host], tuple[str, ...]]


def papers(kind: str, *files: str) -> Flags:
    """--KIND-ca, --KIND-cert and --KIND-key with these files ("" = without)."""
    flags = [(f"--{kind}-{what}", file) for what, file in zip(("ca", "cert", "key"), files, strict=False) if file]
    return lambda host: tuple(word for flag, file in flags for word in (flag, host.file(file)))


SEALED = papers("admin", "", "one.pem", "one.key")

WRONG: list[tuple[str, int, Flags, str]] = [
    ("an endpoint of another scheme", USAGE, lambda _: ("--etcd", "ftp://a:1"), "neither http:// nor https://"),
    ("an endpoint without a port", USAGE, lambda _: ("--etcd", "127.0.0.1"), "http://HOST:PORT"),
    ("an endpoint with a path", USAGE, lambda h: ("--etcd", h.plain + "/v3"), "http://HOST:PORT"),
    ("a CA for a plain endpoint", USAGE, papers("etcd", "one.pem"), "https://"),
    ("a certificate without a key", USAGE, papers("admin", "", "one.pem"), "give both"),
    ("an admin address without a port", USAGE, lambda _: ("--admin", "9067"), "--admin 9067: write HOST:PORT"),
    ("a metrics address without a port", USAGE, lambda _: ("--metrics", "here"), "--metrics here: write HOST:PORT"),
    ("an interface given twice", USAGE, lambda _: ("--interface", "a=eth0,b=eth0"), "eth0: given twice"),
    ("an address given twice", USAGE, lambda _: ("--listen", "10.77.0.2:67"), "10.77.0.2:67: given twice"),
    ("an empty prefix", USAGE, lambda _: ("--prefix", "/"), "--prefix"),
    ("a missing key of the admin API", REFUSED, papers("admin", "", "one.pem", "none.key"), "none.key cannot be read"),
    ("a key of another certificate", REFUSED, papers("admin", "", "one.pem", "two.key"), "two.key are not"),
    ("junk for a certificate", REFUSED, papers("admin", "", "junk.pem", "one.key"), "junk.pem and"),
    ("junk for a CA", REFUSED, papers("admin", "junk.pem", "one.pem", "one.key"), "junk.pem holds no certificates"),
    ("a foreign admin address", REFUSED, lambda _: ("--admin", "192.0.2.7:9067", "--admin-insecure"), "Cannot assign"),
    ("an admin port for all to see", USAGE, lambda _: ("--admin", "0.0.0.0:9067"), "is not loopback and has no TLS"),
    ("TLS that asks nobody", USAGE, lambda h: ("--admin", "[::]:9067", *SEALED(h)), "asks nobody for credentials"),
    ("a CA without a certificate", USAGE, papers("admin", "one.pem"), "--admin-ca needs --admin-cert"),
    ("roles that are none", REFUSED, lambda h: ("--admin-roles", h.file("r.yaml", b"tokens: 3")), "write a list"),
    ("a foreign metrics address", REFUSED, lambda _: ("--metrics", "192.0.2.7:1"), "cannot assign requested address"),
    ("a document that is not there", REFUSED, lambda h: ("--config-file", h.file("none.yaml")), "No such file"),
    ("a document that is a folder", REFUSED, lambda h: ("--config-file", h.file(".")), "Is a directory"),
    ("a binary document", REFUSED, lambda h: ("--config-file", h.file("b.yaml", b"\xff\xfe")), "not UTF-8 text"),
    ("an empty document", REFUSED, lambda h: ("--config-file", h.file("e.yaml", "\n")), "the document is empty"),
]


@pytest.mark.parametrize(("code", "flags", "words"), [each[1:] for each in WRONG], ids=[each[0] for each in WRONG])
def test_one_line_names_what_to_mend_and_etcd_is_left_as_it_was(
    host: Host, code: int, flags: Flags, words: str
) -> None:
    before, given = host.keys(), flags(host)
    etcd = () if "--etcd" in given else ("--etcd", host.plain)
    refusal = host.start(*LISTEN, *etcd, *given)
    said = " ".join(refusal.said)
    assert refusal.code == code
    assert said.startswith("everlease node: ")
    assert words in said
    assert len(refusal.said) == 1 + said.count("is refused:")
    assert host.keys() == before


@pytest.mark.parametrize("flag", ["--admin", "--metrics"])
def test_a_port_of_ours_that_is_taken_is_named(host: Host, flag: str) -> None:
    refusal = host.start(*LISTEN, "--etcd", host.plain, flag, host.plain.removeprefix("http://"))
    (line,) = refusal.said
    assert refusal.code == REFUSED
    assert f"{flag} {host.plain.removeprefix('http://')}" in line
    assert "already in use" in line.lower()


def test_every_mistake_of_a_document_comes_at_once_with_its_file_path_and_line(host: Host) -> None:
    before = host.keys()
    text = "schema: 1\nvalid-lifetme: 1h\nsubnets:\n  - id: 0\n    prefix: 10.77.0.0/33\n    pools: [{range: x}]\n"
    file = host.file("bad.yaml", text)
    refusal = host.start(*LISTEN, "--etcd", host.plain, "--config-file", file)
    assert refusal.code == REFUSED
    assert refusal.said[0] == f"everlease node: --config-file {file} is refused:"
    places = [line.split(":")[0].strip() for line in refusal.said[1:]]
    assert {"valid-lifetme (line 2)", "subnets[0].id (line 4)", "subnets[0].prefix (line 5)"} <= set(places)
    assert host.keys() == before


@pytest.mark.parametrize(
    ("flags", "capability"),
    [(LISTEN, "CAP_NET_BIND_SERVICE"), (("--interface", "eth0"), "CAP_NET_BIND_SERVICE")],
    ids=["a relay socket", "a link"],
)
def test_somebody_without_rights_is_told_which_and_where_to_get_them(
    host: Host, flags: tuple[str, ...], capability: str
) -> None:
    (line,) = host.start(*flags, "--etcd", host.plain, under=bare("net_bind_service", "net_raw")).said
    assert capability in line
    assert "AmbientCapabilities" in line


def test_a_document_that_may_not_be_read_is_named(host: Host) -> None:
    file = host.file("locked.yaml", "schema: 1\n")
    host.place.run("chmod", "0", file)
    under = bare("dac_override", "dac_read_search")
    refusal = host.start(*LISTEN, "--etcd", host.plain, "--config-file", file, under=under)
    said = " ".join(refusal.said)
    assert refusal.code in (REFUSED, USAGE)
    assert file in said
    assert "not readable" in said or "Permission denied" in said


def bare(*capabilities: str) -> tuple[str, ...]:
    """Run without these, as an unprivileged user would."""
    return ("setpriv", "--bounding-set", ",".join(f"-{each}" for each in capabilities), "--inh-caps", "-all")


# --- TLS to etcd ------------------------------------------------------------------------------------------------------


@pytest.fixture
def tls_port(host: Host) -> Iterator[int]:
    """Somebody who shows certificate `one` and then says nothing; the port on 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(host.file("one.pem"), host.file("one.key"))
    context.set_alpn_protocols(["h2"])
    listener = host.place.call(lambda: socket.create_server(("127.0.0.1", 0)))
    threading.Thread(target=_shake_hands, args=(listener, context), daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def _shake_hands(listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        try:
            context.wrap_socket(connection, server_side=True).close()
        except OSError:
            connection.close()


def test_tls_to_a_plain_port_is_unreachable_and_says_so(host: Host) -> None:
    (line,) = unreachable(host, host.secure, "one.pem")
    assert "does it speak TLS there" in line


def test_a_certificate_of_another_authority_is_unreachable_and_says_so(host: Host, tls_port: int) -> None:
    (line,) = unreachable(host, f"https://127.0.0.1:{tls_port}", "two.pem")
    assert "--etcd-ca" in line


def unreachable(host: Host, endpoint: str, ca: str) -> list[str]:
    before = host.keys()
    refusal = host.start(*LISTEN, "--etcd", endpoint, "--etcd-ca", host.file(ca))
    assert refusal.code == UNREACHABLE
    assert host.keys() == before
    assert endpoint in refusal.said[0]
    return refusal.said


def test_an_etcd_that_wants_a_password_says_so(host: Host) -> None:
    control = host.etcd.etcdctl
    control("user", "add", "root:word")
    control("user", "grant-role", "root", "root")
    control("auth", "enable")
    try:
        refusal = host.start(*LISTEN, "--etcd", host.plain)
    finally:
        control("--user", "root:word", "auth", "disable")
    (line,) = refusal.said
    assert refusal.code in (REFUSED, UNREACHABLE)
    assert "etcd asks for a user" in line

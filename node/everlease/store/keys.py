"""Every key that Everlease has in etcd, and how to read one back.

Law: every range ends at `/`, so that the prefix `/everlease` never sees the keys of `/everlease2`; addresses are eight
hex digits, so that ranges sort by address; a lease's key does not contain its subnet, so that re-drawing subnets
orphans nothing.
"""

from __future__ import annotations

import re

_SPACE = re.compile(r"[a-z0-9-]+")
ADDRESSES = 1 << 32
BLOCK = 1 << 11
"""Addresses of a range of keys where nobody knows how many there are."""

LEASES, RESERVATIONS, NODES, CONFIG, DRAINS = b"leases", b"reservations", b"nodes", b"config", b"drains"
"""First words below `/v/`: what the watcher sorts its events by."""


def range_end(prefix: bytes) -> bytes:
    """The first key after every key that begins with `prefix`, which ends in `/`."""
    return prefix[:-1] + b"0"  # "0" follows "/" in ASCII


class Keys:
    """Keys below one prefix (`/everlease` by default). Addresses are ints, client keys bytes, spaces names."""

    __slots__ = (
        "_clients", "_leases", "_reservations", "_watched_length", "clients", "config_coming", "config_current",
        "config_docs", "config_history", "drains", "keeper", "nodes", "prefix", "reservations_changed", "watched",
        "watched_end",
    )  # fmt: skip

    def __init__(self, prefix: str = "/everlease") -> None:
        self.prefix = prefix.rstrip("/")
        root = self.prefix.encode()
        self.watched = root + b"/v/"
        self.watched_end = range_end(self.watched)
        self.config_current = self.watched + b"config/current"
        self.config_coming = self.watched + b"config/coming"
        self.config_docs = self.watched + b"config/doc/"
        self.config_history = root + b"/x/history/config/"
        self.nodes = self.watched + b"nodes/"
        self.drains = self.watched + b"drains/"
        self.keeper = root + b"/x/keeper/"
        self.clients = root + b"/x/clients/"
        self.reservations_changed = root + b"/x/reservations/changed"
        self._watched_length = len(self.watched)
        self._leases: dict[str, bytes] = {}
        self._reservations: dict[str, bytes] = {}
        self._clients: dict[tuple[str, int], bytes] = {}

    def leases(self, space: str) -> bytes:
        """Prefix of a space's IPv4 lease records."""
        known = self._leases.get(space)
        if known is None:
            known = self._leases[space] = self.watched + b"leases/" + _named(space) + b"/4/"
        return known

    def lease(self, space: str, address: int) -> bytes:
        """The record of one address."""
        return self.leases(space) + b"%08x" % address

    def lease_range(self, space: str, first: int, last: int) -> tuple[bytes, bytes]:
        """(start, end) of the records of the addresses first..last inclusive."""
        end = self.lease(space, last + 1) if last + 1 < ADDRESSES else range_end(self.leases(space))
        return self.lease(space, first), end

    def reservations(self, space: str) -> bytes:
        """Prefix of a space's reservations."""
        known = self._reservations.get(space)
        if known is None:
            known = self._reservations[space] = self.watched + b"reservations/" + _named(space) + b"/4/"
        return known

    def reservation(self, space: str, address: int) -> bytes:
        """The reservation of one address."""
        return self.reservations(space) + b"%08x" % address

    def reservation_without_address(self, space: str, identity: str) -> bytes:
        """A reservation that only gives parameters, by an id of the operator's."""
        return self.reservations(space) + b"none/" + identity.encode()

    def reserved_client(self, space: str, subnet: int, identity: str) -> bytes:
        """Names the reservation of a client in a subnet, by its last words; compared, so that there is one at most."""
        head = self.prefix.encode() + b"/x/reservations/clients/" + _named(space)
        return head + b"/4/%d/" % subnet + identity.encode()

    def client(self, space: str, subnet: int, client: bytes) -> bytes:
        """The client's index entry under one subnet; its value is `index_value(address)`."""
        prefix = self._clients.get((space, subnet))
        if prefix is None:
            prefix = self._clients[space, subnet] = self.clients + _named(space) + b"/4/%d/" % subnet
        return prefix + client.hex().encode()

    def node(self, name: str) -> bytes:
        """A node's presence."""
        return self.nodes + name.encode()

    def drain(self, name: str) -> bytes:
        """Says that a node is drained, as long as it is there."""
        return self.drains + name.encode()

    def config_doc(self, revision: int) -> bytes:
        """Prefix of the chunks of one configuration document."""
        return self.config_docs + b"%010d/" % revision

    def config_chunk(self, revision: int, chunk: int) -> bytes:
        """One chunk of a configuration document."""
        return self.config_doc(revision) + b"%04d" % chunk

    def config_note(self, revision: int) -> bytes:
        """What the history says of one configuration revision: author, time, comment."""
        return self.config_history + b"%010d" % revision

    def parse(self, key: bytes) -> tuple[bytes, ...]:
        """The words of a watched key below `/v/`, e.g. (b"leases", b"default", b"4", b"0a4d1001"); () = not ours."""
        return tuple(key[self._watched_length :].split(b"/")) if key.startswith(self.watched) else ()

    def parse_client(self, key: bytes) -> tuple[str, int, bytes] | None:
        """(space, subnet, client key) of an index key; None if it is another kind of key."""
        words = key[len(self.clients) :].split(b"/")
        if not key.startswith(self.clients) or len(words) != 4:
            return None
        try:
            return words[0].decode(), int(words[2]), bytes.fromhex(words[3].decode())
        except ValueError:
            return None


def parse_address(word: bytes) -> int | None:
    """The address that eight hex digits name; None if the word is something else."""
    if len(word) != 8:
        return None
    try:
        return int(word, 16)
    except ValueError:
        return None


def end_of_block(key: bytes) -> bytes:
    """The key of the first address after the block in which a lease's key lies; any other key: itself."""
    prefix, _, word = key.rstrip(b"\0").rpartition(b"/")
    address = parse_address(word)
    if address is None:
        return key
    following = (address | (BLOCK - 1)) + 1
    return prefix + b"/%08x" % following if following < ADDRESSES else prefix + b"0"


def index_value(address: int) -> bytes:
    """What a client's index holds: the address in hex, as in the lease's key; compared by value."""
    return b"%08x" % address


def _named(space: str) -> bytes:
    if not _SPACE.fullmatch(space):
        raise ValueError(f"not a name of an address space: {space!r}")
    return space.encode()

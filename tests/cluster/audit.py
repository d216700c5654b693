"""Whether what clients were promised and what etcd holds agree: no address given twice, no promise unrecorded.

Law: only what was seen on the wire and what etcd says counts; no node is asked.
"""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Iterable

from cluster.crowd import Ack, dotted
from everlease.core.lifecycle import BOUND, Lease
from everlease.lab.etcd import EtcdCluster
from everlease.store.keys import Keys, parse_address
from everlease.store.records import decode_lease

KEYS = Keys()
CLOCKS = 1.0
"""Seconds between the node's idea of now and the capture's at which nobody takes offence."""


class Records:
    """Everything below our prefix, read at one revision. leases: by address; index: (subnet id, client) -> address."""

    def __init__(self, etcd: EtcdCluster) -> None:
        self.leases: dict[int, Lease] = {}
        self.index: dict[tuple[int, bytes], int] = {}
        answer = json.loads(etcd.etcdctl("get", "--prefix", "/everlease/", "-w", "json"))
        for pair in answer.get("kvs", ()):
            self._take(base64.b64decode(pair["key"]), base64.b64decode(pair["value"]))

    def _take(self, key: bytes, value: bytes) -> None:
        client = KEYS.parse_client(key)
        words = KEYS.parse(key)
        if client is not None:
            self.index[client[1], client[2]] = parse_address(value) or 0
        elif len(words) == 4 and words[0] == b"leases":
            self.leases[parse_address(words[3]) or 0] = decode_lease(value)

    def bound(self) -> dict[int, Lease]:
        """The records of bindings."""
        return {address: lease for address, lease in self.leases.items() if lease.state == BOUND}


def check(acks: Iterable[Ack], records: Records) -> None:
    """Fail with every contradiction; for tests whose leases all outlive the test, and whose clients keep theirs."""
    contradictions = [*given_twice(acks), *not_recorded(acks, records), *torn(records)]
    assert not contradictions, "\n".join(contradictions[:20])


def given_twice(acks: Iterable[Ack]) -> list[str]:
    """Addresses that two clients were promised (I1), and clients that were promised two (I6)."""
    holders: dict[int, set[bytes]] = defaultdict(set)
    held: dict[bytes, set[int]] = defaultdict(set)
    for ack in acks:
        holders[ack.address].add(ack.mac)
        held[ack.mac].add(ack.address)
    twice = [f"{dotted(a)} was given to {[m.hex(':') for m in macs]}" for a, macs in holders.items() if len(macs) > 1]
    two = [f"{m.hex(':')} was given {[dotted(a) for a in some]}" for m, some in held.items() if len(some) > 1]
    return [*twice, *two]


def not_recorded(acks: Iterable[Ack], records: Records) -> list[str]:
    """Promises that etcd does not hold (I2), or holds for less long than was told (I4)."""
    wrong = []
    for ack in acks:
        lease = records.leases.get(ack.address)
        if lease is None or lease.state != BOUND or lease.hardware != ack.mac:
            wrong.append(f"{dotted(ack.address)} was promised to {ack.mac.hex(':')}, and etcd says {lease}")
        elif lease.expires_at < ack.asked + ack.lifetime - CLOCKS:
            wrong.append(
                f"{dotted(ack.address)} was promised for {ack.lifetime} s, and ends in etcd at {lease.expires_at}"
            )
    return wrong


def torn(records: Records) -> list[str]:
    """Bindings without their client's index entry, and entries that name an address of somebody else (I8)."""
    wrong = []
    for address, lease in records.bound().items():
        if records.index.get((lease.subnet, lease.client)) != address:
            named = dotted(records.index.get((lease.subnet, lease.client), 0))
            wrong.append(f"{dotted(address)} is bound to {lease.client.hex()}, whose index names {named}")
    for (_, client), address in records.index.items():
        lease = records.leases.get(address)
        if lease is None or lease.client != client:
            wrong.append(f"the index of {client.hex()} names {dotted(address)}, whose record is {lease}")
    return wrong

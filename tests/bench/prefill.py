"""Fill etcd with leases as the service would have written them: `python -m bench.prefill --etcd URL --leases N`.

The records and index entries are the store's own (keys, records); only the transactions differ from the service's:
nothing is compared and thousands go at once, because nobody else is there.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from itertools import islice

import grpc

from everlease.core.identity import TAG_HARDWARE
from everlease.core.lifecycle import BOUND, Lease, stored_expiry
from everlease.pb.etcd.v1 import etcd_pb2 as pb
from everlease.store import wire
from everlease.store.keys import Keys, index_value
from everlease.store.records import encode_lease

FIRST_ADDRESS = 0x0A410000  # 10.65.0.0, where the bench's pool begins
SUBNET, SPACE, VALID = 1, "default", 86_400
_NESTED, _PUTS = 40, 60  # 100 of etcd's 128 operations on each path; 1,200 leases in about 0.5 MB
_HOST_NAME = "workstation-%06d"
_RELAY = bytes.fromhex("010667655f302f31020610203040506f")  # circuit and remote id, as a switch would add them
_PATH = "/etcdserverpb.KV/Txn"


def lease(number: int, now: int) -> tuple[int, Lease]:
    """The address and the record of the client with this number, granted at `now` (seconds UTC)."""
    hardware = b"\x02\xbe" + number.to_bytes(4, "big")
    record = Lease(
        client=TAG_HARDWARE + b"\x01" + hardware,
        hardware=hardware,
        state=BOUND,
        granted_at=now,
        expires_at=stored_expiry(now, VALID, 600),
        valid=VALID,
        subnet=SUBNET,
        hostname=_HOST_NAME % number,
        relay=_RELAY,
        giaddr=FIRST_ADDRESS - 1,
        nonce=(1 << 60) + number,
        node="node0",
        config=1,
    )
    return FIRST_ADDRESS + number, record


def puts(leases: int, now: int) -> Iterator[tuple[bytes, bytes]]:
    """Every key and value: for each lease its record and its client's index entry."""
    keys = Keys()
    for number in range(leases):
        address, record = lease(number, now)
        yield keys.lease(SPACE, address), encode_lease(record)
        yield keys.client(SPACE, SUBNET, record.client), index_value(address)


def requests(pairs: Iterator[tuple[bytes, bytes]]) -> Iterator[bytes]:
    """Serialised transactions that put every pair."""
    while True:
        nested = []
        while len(nested) < _NESTED and (some := list(islice(pairs, _PUTS))):
            nested.append(wire.nested({}, some, ()))
        if not nested:
            return
        yield b"".join(nested)


def fill(endpoint: str, leases: int) -> None:
    """Write `leases` records through one member, four transactions at a time; raises grpc.RpcError."""
    with grpc.insecure_channel(endpoint.removeprefix("http://")) as channel:
        call = channel.unary_unary(_PATH, response_deserializer=pb.TxnResponse.FromString)
        batches = requests(puts(leases, int(time.time())))
        while group := list(islice(batches, 4)):
            for batch, answer in [(each, call.future(each, timeout=60)) for each in group]:
                if answer.exception() is not None:  # a machine that is busy: a put may be sent again
                    call(batch, timeout=60)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--etcd", required=True)
    parser.add_argument("--leases", type=int, required=True)
    chosen = parser.parse_args()
    fill(chosen.etcd, chosen.leases)


if __name__ == "__main__":
    main()

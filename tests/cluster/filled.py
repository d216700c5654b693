"""Fill a pool in etcd with other people's leases, scattered: `python -m cluster.filled --etcd URL --leases N --pool M`.

The records are the benchmark's (bench.prefill), and so the store's own; here a random choice of N of the pool's first
M addresses is taken instead of its beginning, as leases that come and go leave it.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator

import grpc

from bench.prefill import SPACE, SUBNET, lease, requests
from everlease.pb.etcd.v1 import etcd_pb2 as pb
from everlease.store.keys import Keys, index_value
from everlease.store.records import encode_lease


def puts(numbers: list[int], now: int) -> Iterator[tuple[bytes, bytes]]:
    """Every key and value of the leases with these numbers."""
    keys = Keys()
    for number in numbers:
        address, record = lease(number, now)
        yield keys.lease(SPACE, address), encode_lease(record)
        yield keys.client(SPACE, SUBNET, record.client), index_value(address)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--etcd", required=True)
    parser.add_argument("--leases", type=int, required=True)
    parser.add_argument("--pool", type=int, required=True)
    chosen = parser.parse_args()
    numbers = random.Random(98).sample(range(chosen.pool), chosen.leases)
    with grpc.insecure_channel(chosen.etcd.removeprefix("http://")) as channel:
        put = channel.unary_unary("/etcdserverpb.KV/Txn", response_deserializer=pb.TxnResponse.FromString)
        for request in requests(puts(numbers, int(time.time()))):
            put(request, timeout=60)


if __name__ == "__main__":
    main()

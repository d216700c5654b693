"""Large configurations, by name: 100,000 reservations and a dry run over 10,000 subnets, while clients are served.

What was measured is printed; the bounds are the product's own promises.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import grpc
import pytest

from admin.furnished import furnish, lease, office, put_leases, serve_link
from admin.three import Three
from config.config_documents import large
from everlease.admin.applying import Applying, Wish
from everlease.lab.processes import LabError, wait_until
from everlease.node import GARBAGE
from everlease.pb.admin.v1 import config_service_pb2 as configs
from everlease.pb.admin.v1 import config_service_pb2_grpc, reservation_service_pb2_grpc
from everlease.pb.admin.v1 import reservation_service_pb2 as pb
from lab.packet_client import PacketClient

pytestmark = [pytest.mark.slow, pytest.mark.root, pytest.mark.etcd]

COUNT = 100_000
AT_ONCE = 1000
WITHIN = 60.0
"""Seconds for all of them."""

PATIENCE = 60.0

TRIES = 4

PAUSE = 0.25
"""Seconds between two exchanges: a client may send ten packets a second."""

WIDE = "  - {id: 77, prefix: 10.128.0.0/10, relays: [192.0.2.77]}\n"


_NUMBERS = itertools.count(1)


class Customer:
    """A client that takes a lease again and again, and asks anew after two seconds of silence, as clients do.

    seconds: how long each lease took; again: how often it asked anew; lost: leases that it gave up.
    """

    def __init__(self, three: Three) -> None:
        self.seconds: list[float] = []
        self.again = self.lost = 0
        number = next(_NUMBERS)
        self._client = PacketClient(three.site.client(f"bulk{number}"), mac=f"02:cf:01:00:00:{number:02x}")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._live)

    def _live(self) -> None:
        while not self._stop.wait(PAUSE):
            start = time.perf_counter()
            self._obtain()
            self.seconds.append(time.perf_counter() - start)

    def _obtain(self) -> None:
        for _ in range(TRIES):
            with suppress(LabError):
                self._client.obtain(timeout=2.0)
                return
            self.again += 1
        self.lost += 1

    @contextmanager
    def shopping(self) -> Iterator[None]:
        """While the block runs."""
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()
            self._client.close()

    def told(self) -> str:
        """For the record."""
        order = sorted(self.seconds)
        return (
            f"{len(order)} leases, {self.again} asked for anew, {self.lost} given up, "
            f"median {statistics.median(order) * 1e3:.1f} ms, "
            f"99 % {order[int(len(order) * 0.99)] * 1e3:.1f} ms, longest {order[-1] * 1e3:.1f} ms"
        )


def wanted(first: int) -> list[pb.Reservation]:
    base = 0x0A800100
    return [
        pb.Reservation(
            address=".".join(map(str, (base + number).to_bytes(4, "big"))),
            hw_address=f"02:dd:{number >> 24:02x}:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}",
            hostname=f"host-{number}",
        )
        for number in range(first, first + AT_ONCE)
    ]


@pytest.fixture
def emptied(three: Three) -> Iterator[Three]:
    """The cluster; afterwards without reservations, whatever became of the test: the next one would check them all."""
    yield three
    for prefix in ("/everlease/v/reservations/", "/everlease/x/reservations/"):
        three.site.etcd.etcdctl("--command-timeout=60s", "del", "--prefix", prefix)


def test_a_hundred_thousand_reservations_within_a_minute_while_clients_are_served(emptied: Three) -> None:
    three = emptied
    with three.channel(0) as channel, three.channel(1) as other:
        config = config_service_pb2_grpc.ConfigServiceStub(channel)
        document = three.document + WIDE
        config.ApplyConfig(configs.ApplyConfigRequest(document=document, force=True), timeout=PATIENCE)
        stub = reservation_service_pb2_grpc.ReservationServiceStub(channel)
        before = Customer(three)
        with before.shopping():
            time.sleep(5.0)
        customer = Customer(three)
        with customer.shopping():
            start = time.perf_counter()
            for first in range(0, COUNT, AT_ONCE):
                answer = stub.BatchCreateReservations(
                    pb.BatchCreateReservationsRequest(reservations=wanted(first)), timeout=PATIENCE
                )
                assert answer.created_count == AT_ONCE, answer.refused[:3]
            took = time.perf_counter() - start
        print(f"\nbefore: {before.told()}\n{COUNT} reservations in {took:.1f} s; meanwhile {customer.told()}")
        assert customer.lost == 0
        last = pb.GetReservationRequest(name="spaces/default/reservations/10.129.135.159")
        wait_until(lambda: other and _has(other, last), PATIENCE, "the other nodes have them")
        names = _listed(other)
        _removed(stub, names)
        assert took < WITHIN


def _removed(stub: reservation_service_pb2_grpc.ReservationServiceStub, names: Sequence[str]) -> None:
    """All of them again, by the thousand."""
    start = time.perf_counter()
    for first in range(0, len(names), AT_ONCE):
        request = pb.BatchDeleteReservationsRequest(names=names[first : first + AT_ONCE])
        answer = stub.BatchDeleteReservations(request, timeout=PATIENCE)
        assert answer.deleted_count == AT_ONCE, answer.refused[:3]
    print(f"removed {len(names)} in {time.perf_counter() - start:.1f} s")
    assert not stub.ListReservations(pb.ListReservationsRequest(source=pb.RESERVATION_SOURCE_API)).reservations


def _has(channel: grpc.Channel, request: pb.GetReservationRequest) -> bool:
    return bool(reservation_service_pb2_grpc.ReservationServiceStub(channel).GetReservation(request).etag)


def _listed(channel: grpc.Channel) -> list[str]:
    """The names of all of them, page by page, once."""
    stub = reservation_service_pb2_grpc.ReservationServiceStub(channel)
    start = time.perf_counter()
    request = pb.ListReservationsRequest(page_size=1000, subnet=77)
    names: set[str] = set()
    while True:
        page = stub.ListReservations(request, timeout=PATIENCE)
        names.update(each.name for each in page.reservations)
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    print(f"listed {len(names)} in {time.perf_counter() - start:.1f} s")
    assert len(names) == COUNT
    return sorted(names)


def beside(subnets: int, reservations: int) -> str:
    """Subnets that nobody is in, each with reservations."""
    lines = []
    for number in range(subnets):
        net = f"172.{16 + (number >> 8)}.{number & 255}"
        lines.append(f"  - id: {1000 + number}\n    prefix: {net}.0/24\n    pools: [{{range: {net}.100-{net}.250}}]")
        lines.append("    reservations:")
        mac = f"02:00:{number >> 8:02x}:{number & 255:02x}:00"
        lines += [
            f'      - {{hw-address: "{mac}:{host:02x}", address: {net}.{host + 2}}}' for host in range(reservations)
        ]
    return "\n".join(lines) + "\n"


def test_a_large_document_comes_into_force_while_clients_are_served(three: Three) -> None:
    document = three.document + beside(4000, 20)
    customer = Customer(three)
    with three.channel(0) as channel, customer.shopping():
        config = config_service_pb2_grpc.ConfigServiceStub(channel)
        start = time.perf_counter()
        request = configs.ApplyConfigRequest(document=document, force=True)
        revision = config.ApplyConfig(request, timeout=2 * PATIENCE).config.revision
        took = time.perf_counter() - start
        wait_until(
            lambda: all(node.metric("everlease_config_revision") == revision for node in three.site.nodes),
            PATIENCE,
            "every node has it",
        )
        switched = time.perf_counter() - start - took
        time.sleep(1.0)  # what was asked for in the last moment is answered
    print(f"\n{len(document):,} characters in {took:.1f} s, then {switched:.1f} s; meanwhile {customer.told()}")
    assert customer.lost == 0


async def test_a_dry_run_over_ten_thousand_subnets_holds_the_loop_for_no_long_time() -> None:
    rooms = furnish()
    text = large(10_000, 10)
    await office(rooms, text)
    serve_link(rooms)
    addresses = [
        (10 << 24 | net << 8 | 100 + host, lease(net * 10 + host)) for net in range(10_000) for host in range(10)
    ]
    await put_leases(rooms, addresses)
    gc.set_threshold(*GARBAGE)
    gc.freeze()
    applying = Applying(rooms)
    gaps: list[float] = []

    async def watch() -> None:
        before = time.thread_time()  # of this thread alone: other programs of the machine do not count
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            gaps.append(now - before)
            before = now

    watcher = asyncio.create_task(watch())
    start = time.perf_counter()
    document = text.replace(".250}]", ".104}]").replace("example.org", "example.net")
    outcome = await applying.apply(Wish(document, "anna", dry=True))
    took = time.perf_counter() - start
    watcher.cancel()
    order = sorted(gaps)
    print(
        f"\ndry run {took:.1f} s, {outcome.count} changes, {outcome.orphans.total} leases; "
        f"the loop turned {len(gaps)} times, 99.9 % {order[int(len(order) * 0.999)] * 1e3:.1f} ms, "
        f"longest {order[-1] * 1e3:.1f} ms"
    )
    assert outcome.orphans.total == 50_000
    assert outcome.count == 10_001
    assert order[-1] < 0.02

"""A scrape of a node with a million leases in 500 subnets: how long it takes, and how long the loop stands for it."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from dataclasses import dataclass

import pytest

from admin.furnished import furnish, office, serve_link
from bench.prefill import FIRST_ADDRESS, lease
from everlease import health
from everlease.runtime.rooms import Rooms
from everlease.store.api import KeyValue
from everlease.store.records import encode_lease

NOW = 1_800_000_000
SUBNETS, EACH = 500, 2000
SPAN = 2048
"""Addresses of a /21."""

WITHIN = 0.1
STALL = 0.005
"""Seconds: a slice is about 1 ms, and Python's own thread switch 5 ms at most."""

ROUNDS = 5
CLIENT = """
import http.client, sys, time
begun = time.perf_counter()
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=30)
connection.request("GET", "/metrics")
body = connection.getresponse().read()
print(time.perf_counter() - begun, len(body.splitlines()))
"""
"""Another process: what reads does not share the node's interpreter."""


def document() -> str:
    rows = (
        f"  - {{id: {number + 1}, prefix: {dotted(FIRST_ADDRESS + number * SPAN)}/21, relays: [172.16.{number >> 8}."
        f"{number & 255}], pools: [{{range: {dotted(FIRST_ADDRESS + number * SPAN + 10)}-"
        f"{dotted(FIRST_ADDRESS + number * SPAN + SPAN - 2)}}}]}}"
        for number in range(SUBNETS)
    )
    return "schema: 1\nsubnets:\n" + "\n".join(rows) + "\n"


def dotted(address: int) -> str:
    return ".".join(str(address >> shift & 255) for shift in (24, 16, 8, 0))


def fill(rooms: Rooms) -> None:
    """Leases as the watch would bring them."""
    for number in range(SUBNETS * EACH):
        subnet, place = divmod(number, EACH)
        _, record = lease(number, NOW)
        record.subnet = subnet + 1
        key = rooms.keys.lease("default", FIRST_ADDRESS + subnet * SPAN + 10 + place)
        rooms.view.apply(KeyValue(key, encode_lease(record), 5))
    rooms.view.passed(5)


@dataclass
class Stall:
    """The longest time between two turns of the loop, seconds."""

    longest: float = 0.0

    async def watch(self) -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            self.longest = max(self.longest, now - last)
            last = now


async def scraped(port: int) -> tuple[float, int, float]:
    """(seconds that another process waited for a scrape, its lines, the longest stall of the loop meanwhile)."""
    stall = Stall()
    watch = asyncio.create_task(stall.watch())
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLIENT, str(port), stdout=asyncio.subprocess.PIPE
    )
    stall.longest = 0.0  # starting a process is not the scrape's
    said, _ = await client.communicate()
    watch.cancel()
    seconds, lines = said.split()
    return float(seconds), int(lines), stall.longest


@pytest.mark.parametrize("leases", [pytest.param(SUBNETS * EACH, id="million", marks=pytest.mark.slow)])
async def test_a_scrape_of_a_million_leases_is_quick_and_stalls_nobody(leases: int) -> None:
    rooms = furnish()
    await office(rooms, document())
    serve_link(rooms)
    fill(rooms)
    assert len(rooms.view) == leases
    gc.collect()
    gc.freeze()
    site = await health.serve(rooms, "127.0.0.1:0")
    rounds = [await scraped(site.port) for _ in range(ROUNDS)]
    await site.close()
    for seconds, lines, longest in rounds:
        print(f"scrape {seconds * 1e3:.1f} ms, {lines} lines, longest stall {longest * 1e3:.1f} ms")
    assert min(lines for _, lines, _ in rounds) > SUBNETS * 10
    assert min(seconds for seconds, _, _ in rounds) < WITHIN
    assert min(longest for _, _, longest in rounds) < STALL

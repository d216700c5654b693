"""Large answers come in slices: what a list costs between two turns of the loop, by the loop's own processor time."""

from __future__ import annotations

import asyncio
import time

import grpc
import pytest

from admin.furnished import lease, put_leases
from everlease.admin import server
from everlease.pb.admin.v1 import lease_service_pb2 as pb
from everlease.pb.admin.v1 import lease_service_pb2_grpc
from everlease.runtime.rooms import Rooms

pytestmark = pytest.mark.slow

FIRST, ROWS = 0x0A4D1000, 10_000
MAY_HOLD_MS = 2.0
"""What nothing may exceed (the packet path's rule); a page's own serialisation is the longest step."""


def list_all(address: str) -> int:
    """Every lease, by pages of 1,000."""
    count, request = 0, pb.ListLeasesRequest(page_size=1000)
    with grpc.insecure_channel(address) as channel:
        stub = lease_service_pb2_grpc.LeaseServiceStub(channel)
        while True:
            page = stub.ListLeases(request, timeout=60)
            count += len(page.leases)
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return count


async def turns(over: asyncio.Event) -> list[float]:
    """Milliseconds of this thread's processor time in each turn of the loop."""
    found = []
    while not over.is_set():
        before = time.thread_time()
        await asyncio.sleep(0)
        found.append((time.thread_time() - before) * 1e3)
    return sorted(found)


async def test_no_slice_of_a_list_holds_the_loop_longer_than_a_packet_may_wait(
    rooms: Rooms, api: server.Handle
) -> None:
    await put_leases(rooms, [(FIRST + number, lease(number, hostname=f"host-{number}")) for number in range(1, ROWS)])
    over = asyncio.Event()
    measuring = asyncio.create_task(turns(over))
    assert await asyncio.to_thread(list_all, f"127.0.0.1:{api.port}") == ROWS - 1
    over.set()
    held = await measuring
    # Ten pages: if one were made in one piece there would be ten such turns; a few meet the collector.
    assert held[-5] < MAY_HOLD_MS, f"the longest of {len(held)} turns: {[round(each, 2) for each in held[-12:]]} ms"

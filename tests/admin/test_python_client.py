"""The Python client against three nodes on a real etcd: every method, both clients, and nodes that go in the middle."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from typing import Any

import pytest
from google.protobuf.descriptor import ServiceDescriptor

from admin.story import UNTOLD, mac, story, tell, tell_async
from admin.three import Three
from everlease.client import AsyncClient, Client, Conflict, NotFound, Unreachable
from everlease.client.api import Api
from everlease.client.calls import Call
from everlease.client.methods import rows, unary
from everlease.pb import admin

pytestmark = [pytest.mark.root, pytest.mark.etcd]

PATIENCE = 180.0
"""Seconds in which a busy machine does what takes 25: a server that does not answer a ping has not been there."""

METHODS = {name for name in dir(Api) if isinstance(getattr(Api, name), unary | rows)}


def test_the_story_tells_every_method_and_every_method_of_the_api_has_one() -> None:
    assert {row.method for row in story(0)} | UNTOLD == METHODS
    called = {
        value.method
        for kind in Api.__mro__
        for value in vars(__import__(kind.__module__, fromlist=["*"])).values()
        if isinstance(value, Call)
    }
    assert called == {f"{service.name}/{method.name}" for service in services() for method in service.methods}


def services() -> list[ServiceDescriptor]:
    modules = (getattr(admin.v1, name) for name in dir(admin.v1) if name.endswith("_service_pb2"))
    return [service for module in modules for service in module.DESCRIPTOR.services_by_name.values()]


def test_every_method_of_the_blocking_client(three: Three) -> None:
    with Client(three.server) as client:
        tell(client, story(1))
        with pytest.raises(NotFound):
            client.end_recovery()


async def test_every_method_of_the_asyncio_client(three: Three) -> None:
    async with AsyncClient(three.server) as client:
        await tell_async(client, story(2))


def test_a_node_that_is_killed_in_the_middle_of_a_list_or_a_watch_is_not_missed(three: Three) -> None:
    addresses = [f"10.77.190.{last}" for last in range(30)]
    with Client(three.server) as client:
        revision = client.get_status().view_revision
        watched = begin(lambda take: list(islice(watched_of(client, addresses, revision), take)), 2 * len(addresses))
        for number, address in enumerate(addresses):
            client.add_lease(address, mac(1000 + number))
        listed = []
        for lease in client.list_leases(page_size=7):
            if not listed:
                asked(three, client).kill()
            listed.append(lease.address)
        assert [address for address in listed if address in addresses] == addresses
        for number, address in enumerate(addresses):
            client.add_lease(address, mac(1000 + number), hostname="again")
        assert watched() == addresses + addresses


async def test_so_it_is_with_asyncio(three: Three) -> None:
    addresses = [f"10.77.191.{last}" for last in range(30)]
    async with AsyncClient(three.server) as client:
        revision = (await client.get_status()).view_revision

        async def follow() -> list[str]:
            events = client.watch_leases(start_revision=revision)
            return [each async for each in only(events, addresses)]

        watching = asyncio.create_task(follow())
        for number, address in enumerate(addresses):
            await client.add_lease(address, mac(1100 + number))
        listed = []
        async for lease in client.list_leases(page_size=7):
            if not listed:
                asked(three, client).kill()
            listed.append(lease.address)
        assert [address for address in listed if address in addresses] == addresses
        for number, address in enumerate(addresses):
            await client.add_lease(address, mac(1100 + number), hostname="again")
        assert await asyncio.wait_for(watching, 60) == addresses + addresses


def test_a_node_that_stands_still_is_passed_over_within_its_share_of_the_time(three: Three) -> None:
    with Client(three.server, timeout=6) as client:
        client.get_status()
        still = asked(three, client)
        still.pause()
        assert client.get_status().observer != still.name
        client.add_lease("10.77.192.1", mac(1200))  # nor is a change sent to who rests
        still.resume()


@pytest.mark.slow
def test_a_watch_leaves_a_node_that_stands_still_and_misses_nothing(three: Three) -> None:
    addresses = [f"10.77.194.{last}" for last in range(20)]
    with Client(three.server) as client, Client(three.servers[1]) as other:
        revision = client.get_status().view_revision
        still = asked(three, client)
        assert still.name != three.site.nodes[1].name
        seen = begin(lambda take: list(islice(watched_of(client, addresses, revision), take)), 2 * len(addresses))
        for number, address in enumerate(addresses):
            other.add_lease(address, mac(1400 + number))
        still.pause()
        for number, address in enumerate(addresses):
            other.add_lease(address, mac(1400 + number), hostname="again")
        assert seen() == addresses + addresses
        still.resume()


def test_conflicts_and_lost_clusters_are_told_apart(three: Three) -> None:
    with Client(three.server) as client:
        client.add_lease("10.77.193.1", mac(1300))
        with pytest.raises(Conflict):
            client.add_lease("10.77.193.1", mac(1301))
        with pytest.raises(Conflict):
            client.release_lease("10.77.193.1", etag="1")
    with Client("127.0.0.1:1,127.0.0.1:2") as client, pytest.raises(Unreachable) as caught:
        client.get_status()
    assert caught.value.said.keys() == {"127.0.0.1:1", "127.0.0.1:2"}


# --- parts ------------------------------------------------------------------------------------------------------------


def asked(three: Three, client: Client | AsyncClient) -> Any:
    """The node that the client asks at present."""
    server = client.servers.order(time.monotonic())[0]
    return three.site.nodes[three.servers.index(server)]


async def only(events: AsyncIterator[Any], addresses: list[str]) -> AsyncIterator[str]:
    """The addresses of events, of these leases, until each came twice."""
    left = 2 * len(addresses)
    async for event in events:
        if event.lease.address in addresses:
            yield event.lease.address
            left -= 1
        if not left:
            return


def watched_of(client: Client, addresses: list[str], revision: int) -> Iterator[str]:
    events = client.watch_leases(start_revision=revision)
    return (event.lease.address for event in events if event.lease.address in addresses)


def begin(work: Callable[[int], list[str]], most: int) -> Callable[[], list[str]]:
    """Run it beside the test; the result waits for its end."""
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.extend(work(most)), daemon=True)
    thread.start()

    def result() -> list[str]:
        thread.join(PATIENCE)
        assert not thread.is_alive(), found
        return found

    return result

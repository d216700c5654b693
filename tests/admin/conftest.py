"""A node's edges in the test's own loop, and clients that know them only by their port."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc.aio
import pytest

from admin.furnished import furnish, office, serve_link
from everlease import health
from everlease.admin import server
from everlease.runtime.rooms import Rooms


@pytest.fixture
async def rooms() -> Rooms:
    """A serving node with the office's configuration."""
    found = furnish()
    await office(found)
    serve_link(found)
    return found


@pytest.fixture
async def api(rooms: Rooms) -> AsyncIterator[server.Handle]:
    """Its admin API."""
    handle = await server.serve(rooms, "127.0.0.1:0")
    yield handle
    await handle.close()


@pytest.fixture
async def channel(api: server.Handle) -> AsyncIterator[grpc.aio.Channel]:
    """A connection to it."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{api.port}") as found:
        yield found


@pytest.fixture
async def site(rooms: Rooms) -> AsyncIterator[health.Handle]:
    """Its metrics and health."""
    handle = await health.serve(rooms, "127.0.0.1:0")
    yield handle
    await handle.close()

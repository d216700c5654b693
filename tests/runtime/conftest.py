"""Fixtures of nodes that are joined by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from runtime.trio import Trio


@pytest.fixture
async def trio() -> AsyncIterator[Trio]:
    trio = Trio()
    for house in trio.houses:
        await house.join()
    await trio.beat()
    await trio.beat()
    yield trio
    for house in trio.houses:
        await house.leave()

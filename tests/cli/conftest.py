"""A node's admin API on a loop of its own, and the command line in this process or in one of its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from admin.furnished import furnish, office, serve_link
from everlease.admin import server
from everlease.cli.main import app
from everlease.runtime.rooms import Rooms


class Served:
    """A node that answers on `address` until the test is over."""

    def __init__(self, rooms: Rooms, port: int, loop: asyncio.AbstractEventLoop) -> None:
        self.rooms = rooms
        self.address = f"127.0.0.1:{port}"
        self._loop = loop

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something in the node's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


async def _start() -> tuple[Rooms, server.Handle]:
    rooms = furnish()
    await office(rooms)
    serve_link(rooms)
    return rooms, await server.serve(rooms, "127.0.0.1:0")


@pytest.fixture
def served() -> Iterator[Served]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    rooms, handle = asyncio.run_coroutine_threadsafe(_start(), loop).result(10)
    yield Served(rooms, handle.port, loop)
    asyncio.run_coroutine_threadsafe(handle.close(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture
def everlease(served: Served) -> Callable[..., Result]:
    """`everlease ...` against that node."""

    def run(*words: str, **more: Any) -> Result:
        return CliRunner().invoke(app, [*words], env={"EVERLEASE_SERVER": served.address}, **more)

    return run


@pytest.fixture(scope="session")
def program() -> Callable[..., subprocess.CompletedProcess[str]]:
    """The installed program, as a shell would start it."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("everlease")), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    return run

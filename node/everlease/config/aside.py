"""Compile a configuration beside a node that serves: in a process of its own, taken over between packets.

The law of this file: nothing here holds the loop for 2 ms, however large the document; `retire` takes an old
configuration apart as gently as `compile_aside` puts a new one together.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import suppress
from time import perf_counter
from typing import Any, Final

from everlease.config.assemble import Assembly, Head
from everlease.config.beside import Beside, Early
from everlease.config.frames import END, HEAD, LENGTH, PROBLEMS, RESERVATIONS, SUBNETS, load
from everlease.config.problems import InvalidDocument
from everlease.core.model import Config
from everlease.errors import ConfigError

SLICE: Final = 0.001
"""Seconds of work before the loop gets its turn: half of what the packet path allows (architecture.md)."""

REST: Final = 3.0
"""Seconds after a document before the process for the next one starts: a node that has just begun reads its leases."""

WORKER: Final = "everlease.config.worker"

_PIECE: Final = 1 << 16  # characters written at once


class _Died(ConfigError):
    """The process ended without an answer."""


class Aside:
    """Compiles documents, one process for each. ready: have the next process started soon, its libraries loaded.

    early: the first one, which was started before there was a loop. A node commits nothing between a new revision and
    its being compiled; a process that waits saves it half a second.
    """

    def __init__(self, *, ready: bool = True, early: Early | None = None) -> None:
        self._ready = ready
        self._early = early
        self._spare: asyncio.Task[Beside] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._lock = asyncio.Lock()

    def prepare(self) -> None:
        """Start the process that waits now, if there is none."""
        if self._spare is None:
            early, self._early = self._early, None
            self._spare = asyncio.create_task(Beside.of(early) if early else _start())

    async def load(self, text: str, *, revision: int = 0, mod_revision: int = 0) -> Config:
        """`load` for a serving node. Raises InvalidDocument; ConfigError if no process could do it."""
        head = f"{revision} {mod_revision}\n"
        async with self._lock:
            try:
                spare = await self._take()
                if spare is not None:
                    with suppress(_Died):  # the kernel takes a waiting process first when memory is short
                        return await _compile(spare, head, text)
                return await _compile(await _start(), head, text)
            finally:
                if self._ready:
                    self._rest()

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(REST, self.prepare)

    async def close(self) -> None:
        """End the process that waits."""
        if self._timer is not None:
            self._timer.cancel()
        spare, self._spare = self._spare, None
        if spare is not None:
            with suppress(ConfigError):
                await (await spare).end()

    async def _take(self) -> Beside | None:
        spare, self._spare = self._spare, None
        if spare is not None:
            with suppress(ConfigError):
                return await spare
        return None


async def compile_aside(text: str, *, revision: int = 0, mod_revision: int = 0) -> Config:
    """Compile one document, by an `Aside` of its own."""
    return await Aside(ready=False).load(text, revision=revision, mod_revision=mod_revision)


async def run(steps: Iterator[None], slice_seconds: float = SLICE) -> None:
    """Run short steps to their end, giving the loop its turn after each slice."""
    end = perf_counter() + slice_seconds
    for _ in steps:
        if perf_counter() >= end:
            await asyncio.sleep(0)
            end = perf_counter() + slice_seconds


def retire(config: Config) -> Iterator[None]:
    """Take apart a configuration that nobody decides on any more, in short steps for `run`.

    Dropping the last reference to 10,000 subnets at once would hold the loop for tens of milliseconds.
    """
    for subnet in config.subnets.values():
        yield from _emptied(subnet.reservations)
        yield from _emptied(subnet.reserved)
    yield from _emptied(config.derived.policies)
    yield from _emptied(config.derived.plans)
    for table in (config.network_of, config.by_relay, config.by_link, *config.by_prefix.values(), config.subnets):
        yield from _emptied(table)
    networks = list(config.networks)
    object.__setattr__(config, "networks", ())  # a tuple cannot be emptied, and holds every subnet
    yield from _emptied(networks)


def _emptied(table: Any) -> Iterator[None]:
    while table:
        table.pop() if isinstance(table, list) else table.popitem()
        yield


async def _start() -> Beside:
    return await Beside.start(WORKER)


async def _compile(process: Beside, head: str, text: str) -> Config:
    try:
        await _send(process, head, text)
        return await _receive(process)
    finally:
        await process.end()


async def _send(process: Beside, head: str, text: str) -> None:
    await process.send(head.encode())
    for start in range(0, len(text), _PIECE):
        await process.send(text[start : start + _PIECE].encode("utf-8", "surrogatepass"))
    with suppress(OSError):
        process.writer.write_eof()


async def _receive(process: Beside) -> Config:
    kind, body = await _frame(process)
    if kind == PROBLEMS:
        raise InvalidDocument(body)
    if kind != HEAD or not isinstance(body, Head):
        raise ConfigError("the process that compiles the configuration is of another version")
    # A full collection amid so many new objects took 50 ms; frozen, later ones do not look at them.
    collecting = gc.isenabled()
    gc.disable()
    try:
        config = await _take_over(process, Assembly(body))
        gc.freeze()
        return config
    finally:
        if collecting:
            gc.enable()


async def _take_over(process: Beside, assembly: Assembly) -> Config:
    end = perf_counter() + SLICE
    while True:
        kind, body = await _frame(process)
        if kind == SUBNETS:
            for subnet, network in body:
                assembly.add(subnet, network)
        elif kind == RESERVATIONS:
            assembly.reserve(body)
        elif kind == END:
            await run(assembly.finish())
            return assembly.config()
        if perf_counter() >= end:
            await asyncio.sleep(0)
            end = perf_counter() + SLICE


async def _frame(process: Beside) -> tuple[int, Any]:
    try:
        (length,) = LENGTH.unpack(await process.reader.readexactly(LENGTH.size))
        return load(await process.reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        raise _Died(f"the process that compiles the configuration ended: {await process.fate()}") from None

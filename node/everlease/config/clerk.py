"""Reservations read by the document's rules, in a process of its own that stays while there are more to read.

The law of this file: a node that serves loads neither the document's schema nor what checks it (10 MB, 100 ms); a
reservation costs its loop the way there and back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from everlease.config.beside import Beside
from everlease.config.frames import LENGTH, dump, load
from everlease.core.model import Config, Parameters, Reservation, Subnet
from everlease.errors import ConfigError

IDLE: Final = 60.0
"""Seconds after the last reservation until the process ends: somebody who types comes back sooner."""

MOST: Final = 64
"""Reservations sent at once: at 10 us each, there and back, well below a millisecond."""

PATIENCE: Final = 30.0
"""Seconds for one answer; the first one holds the start of the process, half a second of it."""

JOBS, ANSWERS = range(2)
"""Kinds of frames: of (`Config.option_names`, `.option_types`, [(Written, Home)]), and of what was read of each."""


class BadReservation(ConfigError):
    """What is wrong with it: (key, what to do about it) for each finding; key "" = all of it."""

    def __init__(self, findings: list[tuple[str, str]]) -> None:
        self.findings = findings
        super().__init__("; ".join(f"{key}: {words}" if key else words for key, words in findings))


@dataclass(frozen=True, slots=True)
class Home:
    """The subnet of a reservation, as far as its rules go. network: what tells networks apart; above: the levels that
    it inherits from, the nearest first."""

    subnet: int
    space: str
    network: str
    prefix: int
    length: int
    above: tuple[Parameters, ...]


def home(config: Config, subnet: Subnet) -> Home:
    """Of a subnet of this configuration."""
    network = config.network_of[subnet.id]
    above = (subnet.parameters, network.parameters, config.parameters)
    return Home(subnet.id, subnet.space, network.name or f"/{subnet.id}", subnet.prefix, subnet.length, above)


Written: TypeAlias = Mapping[str, Any]
"""A reservation with the document's keys."""

Read: TypeAlias = Reservation | BadReservation


class Clerk:
    """Reads reservations for one node. A process that died, or was idle for long, is followed by another one."""

    def __init__(self) -> None:
        self._process: Beside | None = None
        self._lock = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None

    async def read(self, config: Config, jobs: Sequence[tuple[Written, Subnet]]) -> list[Read]:
        """Each compiled for its subnet, or what is wrong with it. Raises ConfigError if no process could do it."""
        found: list[Read] = []
        async with self._lock:
            for start in range(0, len(jobs), MOST):
                part = [(written, home(config, subnet)) for written, subnet in jobs[start : start + MOST]]
                found += await self._ask(dump(JOBS, (config.option_names, config.option_types, part)))
        return found

    async def _ask(self, request: bytes) -> list[Read]:
        process = self._process
        if process is None or not process.alive:
            await self.close()
            process = self._process = await Beside.start("everlease.config.single")
        done = False
        try:
            async with asyncio.timeout(PATIENCE):
                answers = await _exchange(process, request)
            done = True
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            raise ConfigError("the process that reads reservations ended, or does not answer") from None
        finally:
            if done:
                self._rest()
            else:  # also where the caller has gone: what it would still say is not the next one's answer
                await self.close()
        return [BadReservation(each) if isinstance(each, list) else each for each in answers]

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(IDLE, self._end)

    def _end(self) -> None:
        """Nobody asks any more."""
        if not self._lock.locked():
            self._ending = asyncio.get_running_loop().create_task(self.close())

    async def close(self) -> None:
        """End the process."""
        if self._timer is not None:
            self._timer.cancel()
        process, self._process = self._process, None
        if process is not None:
            await process.end()


async def _exchange(process: Beside, request: bytes) -> list[Any]:
    await process.send(request)
    (length,) = LENGTH.unpack(await process.reader.readexactly(LENGTH.size))
    _, answers = load(await process.reader.readexactly(length))
    assert isinstance(answers, list)
    return answers

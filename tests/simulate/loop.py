"""An event loop whose time jumps to the next timer: hours pass in seconds, and a seed decides who comes first.

Law: nothing here reads a clock or a random source of the machine. Time moves only when nobody is ready; every callback
belongs to an `Owner` (a process of the simulation) or to the world, and a stopped owner's callbacks wait for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from heapq import heappop, heappush
from random import Random
from typing import Any, Final

SCHEDULING: Final = 0.001
"""Seconds by which a timer may be late: which of two that are due at once comes first is the seed's choice."""

BUSY: Final = 200_000
"""Callbacks without time passing after which something is taken to run in circles."""


class Stuck(Exception):
    """Nobody will ever be ready again, or somebody always is."""


class Handle:
    """What `call_soon` and `call_at` give back: `asyncio.TimerHandle`, as far as asyncio uses it."""

    __slots__ = ("args", "callback", "context", "is_cancelled", "time")

    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...], context: Context, time: float) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.is_cancelled = False
        self.time = time

    def cancel(self) -> None:
        self.is_cancelled = True
        self.callback, self.args = _nothing, ()

    def cancelled(self) -> bool:
        return self.is_cancelled

    def when(self) -> float:
        return self.time


def _nothing() -> None:
    """What was cancelled holds on to nothing."""


class Owner:
    """A process: its callbacks run while it is neither frozen nor dead. context: for what the world does in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.frozen = self.dead = False
        self.waiting: list[Handle] = []
        self.context = copy_context()
        self.context.run(OWNER.set, self)


OWNER: Final[ContextVar[Owner | None]] = ContextVar("owner", default=None)


class SimulatedLoop(asyncio.BaseEventLoop):
    """failed: every exception that nobody caught, with the name of whose it is."""

    def __init__(self, chance: Random) -> None:
        super().__init__()
        self._chance = chance
        self._now = 0.0
        self._numbers = 0
        self._timers: list[tuple[float, int, Handle]] = []
        self._turn: deque[Handle] = deque()
        self._idle = 0
        self._outside = copy_context()
        self.somebody_stopped = False
        self.failed: list[tuple[str, BaseException | None, str]] = []
        self.set_exception_handler(_keep)
        self.set_task_factory(_Numbered)

    # --- what asyncio asks of a loop ------------------------------------------------------------------------------

    def time(self) -> float:
        return self._now

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Handle:
        handle = Handle(callback, args, copy_context() if context is None else context, self._now)
        self._turn.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        handle = Handle(callback, args, copy_context() if context is None else context, when)
        self._numbers += 1
        late = self._chance.random() * SCHEDULING
        heappush(self._timers, ((when if when > self._now else self._now) + late, self._numbers, handle))
        return handle

    def run_in_executor(self, _executor: object, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """At once: there are no threads."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # (it is the caller's to judge, as a thread's would be)
            future.set_exception(error)
        return future

    # --- one turn -------------------------------------------------------------------------------------------------

    def _run_once(self) -> None:
        """All turns until somebody calls `stop`."""
        turn = self._turn
        while not self._stopping:
            if not turn:
                self._pass_time()
            self._idle += 1
            if self._idle > BUSY:
                raise Stuck(f"somebody is always ready at {self._now:.3f}")
            for _ in range(len(turn)):
                handle = turn.popleft()
                if not handle.is_cancelled and not (self.somebody_stopped and self._has_to_wait(handle)):
                    try:
                        handle.context.run(handle.callback, *handle.args)
                    except Exception as error:  # (told as a fault of whose callback it was)
                        self.call_exception_handler({"message": "callback", "exception": error, "handle": handle})

    def _pass_time(self) -> None:
        timers = self._timers
        while timers and timers[0][2].is_cancelled:
            heappop(timers)
        if not timers:
            raise Stuck("nobody waits for anything")
        self._now = now = timers[0][0]
        self._idle = 0
        while timers and timers[0][0] <= now:
            self._turn.append(heappop(timers)[2])

    # --- stopping and waking --------------------------------------------------------------------------------------

    def _has_to_wait(self, handle: Handle) -> bool:
        owner = handle.context.get(OWNER)
        if owner is None or not (owner.frozen or owner.dead):
            return False
        owner.waiting.append(handle)
        return True

    def freeze(self, owner: Owner) -> None:
        """SIGSTOP: what becomes due waits."""
        owner.frozen = self.somebody_stopped = True

    def thaw(self, owner: Owner) -> None:
        """SIGCONT: what waited runs, in the order in which it became due."""
        owner.frozen = False
        if not owner.dead:
            self._turn.extend(owner.waiting)
            owner.waiting.clear()

    def kill(self, owner: Owner) -> None:
        """SIGKILL: nothing of it runs any more; what it sent is on its way."""
        owner.dead = self.somebody_stopped = True

    def outside(self, delay: float, callback: Callable[..., object], *args: Any) -> Handle:
        """Call later as the world, whoever asks: what is on its way does not stop with its sender."""
        return self.call_at(self._now + delay, callback, *args, context=self._outside)

    def start(self) -> None:
        """Tasks count from 1 again."""
        _Numbered._count = 0

    def _check_closed(self) -> None:
        """Tasks that are never finished let go of things when they are collected, after the end."""


class _Numbered(asyncio.Task[Any]):
    """Sets of tasks are walked in the same order each time: the hash is not where it happens to lie in memory."""

    _count = 0
    number: int

    def __new__(cls, loop: asyncio.AbstractEventLoop, coro: Any, **_: Any) -> _Numbered:
        task: _Numbered = super().__new__(cls)
        _Numbered._count += 1
        task.number = _Numbered._count
        return task

    def __init__(self, loop: asyncio.AbstractEventLoop, coro: Any, **more: Any) -> None:
        super().__init__(coro, loop=loop, **more)

    def __hash__(self) -> int:
        return self.number


def _keep(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    assert isinstance(loop, SimulatedLoop)
    if "destroyed but it is pending" in str(context.get("message")):
        return  # it was killed
    handle = context.get("handle")
    owner = handle.context.get(OWNER) if handle is not None else OWNER.get()
    loop.failed.append((owner.name if owner else "world", context.get("exception"), str(context.get("message"))))

"""The composition root: the only file that knows all the classes. `run` lives as long as the node does.

The law of this file: what is wrong with the machine or the flags is one clear line and an exit code before anything is
served; afterwards nothing but a signal, or another node with our name, ends the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import sys
import uuid
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from everlease import __version__, health, logs
from everlease.admin import server as admin
from everlease.admin.access import Papers
from everlease.config.aside import Aside
from everlease.config.beside import Early
from everlease.config.problems import InvalidDocument
from everlease.console import Console
from everlease.errors import ConfigError
from everlease.logs.sinks import open_sink
from everlease.probe.patrol import Patrol
from everlease.runtime.carrier import Carrier
from everlease.runtime.clock import ClusterClock
from everlease.runtime.committer import Committer
from everlease.runtime.configuration import Configuration
from everlease.runtime.counters import Counters
from everlease.runtime.exchange import Options
from everlease.runtime.gate import Gate
from everlease.runtime.keeper import Keeper, Snapshots
from everlease.runtime.keeper.admission import check_versions
from everlease.runtime.ledger import Ledger, Write, to_lines, to_log
from everlease.runtime.lifeline import Lifeline
from everlease.runtime.membership import Membership
from everlease.runtime.offers import OfferTable
from everlease.runtime.privileges import Opener, settle
from everlease.runtime.pulse import Pulse
from everlease.runtime.responder import Responder
from everlease.runtime.restorer import Restorer, longest_lifetime
from everlease.runtime.rooms import Rooms
from everlease.runtime.service import Service
from everlease.runtime.settle import Settlement
from everlease.runtime.sockets import Tally
from everlease.runtime.sweeper import Sweeper
from everlease.settings import Settings
from everlease.store.api import Unavailable
from everlease.store.channel import Credentials
from everlease.store.etcd import EtcdStore
from everlease.store.keys import Keys
from everlease.store.loader import Loader
from everlease.store.maintenance import Maintenance
from everlease.store.upkeep import Upkeep
from everlease.store.view import View
from everlease.supervisor import Supervisor

DONE, REFUSED, USAGE, UNREACHABLE = range(4)
"""Exit codes, as every command of `everlease` has them."""

GARBAGE: Final = (50_000, 20, 100)
"""When the collector looks for cycles. A packet leaves none: Python's own thresholds cost a sixth of its time."""


def run(settings: Settings, early: Early | None = None) -> int:
    """Run one node until it is told to stop; the exit code. early: what compiles its first document, if that runs."""
    gc.set_threshold(*GARBAGE)
    counters = Counters()
    try:
        opener = settle(settings.user)  # first: threads inherit
    except ConfigError as refused:
        return _say(refused, REFUSED)
    style = logs.Style(settings.log_format, logs.Pseudonyms() if settings.log_privacy else None)
    lines = logs.configure(settings.log_level, settings.name, counters.lose_line, style=style)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            host = partial(this_host, settings, early)
            return runner.run(_main(settings, counters, style.pseudonyms, opener, host))
    except InvalidDocument as bad:
        return _say(f"--config-file {settings.config_file} is refused:\n  " + str(bad).replace("\n", "\n  "), REFUSED)
    except ConfigError as refused:
        return _say(refused, REFUSED)
    except Unavailable as away:
        return _say(f"etcd does not answer at {', '.join(settings.etcd)}: {away}{_advice(str(away))}", UNREACHABLE)
    finally:
        lines.close()


def _advice(words: str) -> str:
    """What to look at when the network is fine and TLS is not."""
    if "CERTIFICATE_VERIFY_FAILED" in words:
        return "; did another authority than that of --etcd-ca sign its certificate, or for other host names?"
    return "; does it speak TLS there, and accept --etcd-cert?" if "andshake" in words else ""


def _say(words: object, code: int) -> int:
    sys.stderr.write(f"everlease node: {words}\n")
    return code


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415  (an extra: used where it is installed)
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _main(
    settings: Settings,
    counters: Counters,
    pseudonyms: logs.Pseudonyms | None,
    opener: Opener,
    host: Callable[[], Host],
) -> int:
    text = _read(settings.config_file)
    node = Node(settings, counters, host())
    node.opener = opener
    with _ledger(settings, counters, pseudonyms) as write:
        node.rooms.responder.ledger = Ledger(node.rooms.view, write) if write else None
        try:
            return await node.until_stopped() if await node.started(text) else DONE
        finally:
            await node.close()


@contextlib.contextmanager
def _ledger(settings: Settings, counters: Counters, pseudonyms: logs.Pseudonyms | None) -> Iterator[Write | None]:
    """Where the lines for bindings go, None = nowhere. Raises ConfigError."""
    place = settings.log_leases
    if place is None or isinstance(place, str):
        yield to_log if place else None
        return
    try:
        sink = open_sink(place)
    except OSError as error:
        raise ConfigError(f"--log-leases: {error.filename}: {error.strerror}") from error
    lines = logs.Lines(sink, counters.lose_binding, "ledger")
    try:
        yield to_lines(lines, settings.name, pseudonyms)
    finally:
        lines.close()


def _read(path: Path | None) -> str | None:
    try:
        return path.read_text(encoding="utf-8") if path is not None else None
    except OSError as error:
        raise ConfigError(f"--config-file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"--config-file {path}: not UTF-8 text (octet {error.start})") from error


@dataclass(frozen=True, slots=True)
class Host:
    """What a node takes from where it runs: its ways to etcd, its clocks, where documents are compiled, who it is.

    Without `upkeep` it never keeps the store.
    """

    store: EtcdStore
    clock: ClusterClock
    aside: Aside
    boot_id: str
    upkeep: Upkeep | None = None


def this_host(settings: Settings, early: Early | None = None) -> Host:
    """This machine, for one run; early: as of `run`. Raises ConfigError."""
    papers = Credentials(*settings.etcd_tls)
    store = EtcdStore(settings.etcd, papers)
    return Host(store, ClusterClock(), Aside(early=early), uuid.uuid4().hex, Maintenance(store, papers))


class Node:
    """One node's rooms, put together; what runs in them; and how it ends. host: a simulation gives its own."""

    def __init__(self, settings: Settings, counters: Counters, host: Host | None = None) -> None:
        self._settings = settings
        self._tasks: list[asyncio.Task[None]] = []
        self._servers = contextlib.AsyncExitStack()
        self._stop = asyncio.Event()
        self._admin: admin.Handle | None = None
        self.opener: Opener | None = None
        host = host or this_host(settings)
        self._boot_id = host.boot_id
        self._store = host.store
        self._upkeep = host.upkeep
        self.rooms = _furnish(settings, host, counters)
        self.keeper = Keeper(self.rooms, host.upkeep) if host.upkeep else None
        self._gate = self.rooms.responder.gate
        self.pulse = Pulse(self.rooms)
        tally = Tally(counters.dropped, counters.unsent, counters.received)
        self.service = Service(self.rooms.responder, self.rooms.membership, self.pulse.hurry, tally)
        self.service.identifier = settings.server_identifier
        self.settlement = Settlement(self.rooms, self.pulse, self._gate, settings.server_identifier)
        self.supervisor = Supervisor(self.rooms)

    async def started(self, text: str | None) -> bool:
        """Open, load, join, serve; False: told to stop before that was done. text: of --config-file.

        Raises ConfigError, Unavailable.
        """
        starting, stop = asyncio.ensure_future(self._start(text)), asyncio.ensure_future(self._stop.wait())
        done, pending = await asyncio.wait((starting, stop), return_when=asyncio.FIRST_COMPLETED)
        for each in pending:
            each.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        if starting in done:
            starting.result()
        return starting in done

    async def _start(self, text: str | None) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_report)
        self.rooms.configuration.prepare()
        self._open_sockets()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        await self._open_edges()
        self.service.start(loop)
        self._run(self.service.watch_queues())
        self._run(self.rooms.counters.run())
        if self.supervisor.listens:
            self._run(self.supervisor.run())
        await self.join(text)

    def _open_sockets(self) -> None:
        work = partial(self.service.open, self._settings.links, self._settings.listens)
        if self.opener is not None:
            self.opener.open(work)
        else:
            work()

    async def join(self, text: str | None) -> None:
        """Read configuration and leases, take the name, and do all that a node does beside answering packets.

        Raises ConfigError, Unavailable.
        """
        rooms, store = self.rooms, self._store
        if self.keeper is not None and self._upkeep is not None:
            self.keeper.judged.update(await check_versions(self._upkeep, store.rank()))
        await rooms.configuration.begin(text, rooms.clock.now())
        store.start_probing()
        loader = Loader(store, rooms.keys, rooms.view, self.settlement.prefixes, rooms.feed)
        restorer = Restorer(rooms, loader.loaded, lambda: longest_lifetime(rooms.configuration.current))
        loader.on_doubt, loader.on_rollback = restorer.doubt, restorer.rolled_back
        self._run(loader.run())
        await loader.loaded.wait()
        await self.pulse.claim()
        running = (self.pulse.run(), rooms.configuration.run(), Sweeper(rooms).run(), restorer.run())
        for each in (*running, rooms.responder.drops.run()):
            self._run(each)
        self._keep()
        self._look_for_rogues()
        self.settlement.loading = False
        rooms.lifeline.waiting_for = self.settlement.lacks()
        logs.get().info("node started", version=__version__, boot=self._boot_id, host=socket.gethostname())

    def _look_for_rogues(self) -> None:
        if period := self._settings.rogue_probe:
            links = {each.label or each.interface: each.interface for each in self._settings.links}
            patrol = Patrol(self._settings.name, links, period, self.rooms.membership)
            self._run(patrol.run(self.rooms.counters))

    def _keep(self) -> None:
        """What this node does for the store itself."""
        if self._upkeep is None or self.keeper is None:
            return
        self._run(self.keeper.run())
        if schedule := self._settings.snapshots:
            self._run(Snapshots(self.rooms, self._upkeep, schedule).run())

    async def _open_edges(self) -> None:
        """Before the store is asked: they tell why the node is not ready."""
        settings = self._settings
        if settings.metrics:
            console = Console(self.rooms, self._may_view)
            self._servers.push_async_callback((await health.serve(self.rooms, settings.metrics, console)).close)
            console.start()
            self._servers.push_async_callback(console.close)
        if settings.admin:
            await self._open_admin()

    def _may_view(self, shown: Sequence[str]) -> bool:
        """Whether who is on this machine may see leases, as the admin API would have it; not before that is open."""
        return not self._settings.admin or (self._admin is not None and self._admin.may_view(shown))

    async def _open_admin(self) -> None:
        settings = self._settings
        ca, cert, key = settings.admin_tls
        self._admin = await admin.serve(self.rooms, settings.admin, Papers(cert, key, ca, settings.admin_roles))

    async def _reread(self) -> None:
        """SIGHUP: certificates and roles again, at once; the files are followed as well."""
        if self._admin is not None:
            await self._admin.reread()
        try:
            await self._store.reread()
        except ConfigError as unreadable:
            logs.get().error("certificates not read again", reason=str(unreadable))
        else:
            logs.get().info("certificates read again")

    def _hang_up(self) -> None:
        self._rereading = asyncio.get_running_loop().create_task(self._reread())
        self._rereading.add_done_callback(lambda task: task.result())  # a fault is told at once

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A room's task ends only when it is cancelled: anything else is a fault of ours, and the others take over."""
        if not task.cancelled():
            self._stop.set()

    async def until_stopped(self) -> int:
        """Serve until a signal comes, or another process has our name; then drain."""
        stop = asyncio.ensure_future(self._stop.wait())
        taken = asyncio.ensure_future(self.pulse.taken.wait())
        await asyncio.wait((stop, taken), return_when=asyncio.FIRST_COMPLETED)
        if taken.done():
            raise ConfigError(f"--name {self._settings.name}: another process has taken this name; this one stops")
        stop.cancel()
        self.supervisor.leaving()
        await self.settlement.drain()
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()
        return DONE

    async def close(self) -> None:
        """Let go of everything."""
        self.service.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.rooms.committer.close()
        self.rooms.responder.ping_checks.close()
        if self._admin is not None:
            await self._admin.close()
        await self._servers.aclose()
        await self.rooms.configuration.close()
        if self.keeper is not None:
            await self.keeper.close()
        if self._upkeep is not None:
            self._upkeep.close()
        await self._store.close()


def _furnish(settings: Settings, host: Host, counters: Counters) -> Rooms:
    keys = Keys(settings.prefix)
    store, clock = host.store, host.clock
    view = View(keys, clock.reuse_now())
    lifeline = Lifeline(clock.boot, _tell)
    membership = Membership(settings.name, host.boot_id, clock, lifeline)
    membership.admin = settings.admin
    gate = Gate(lifeline)
    options = Options(settings.server_identifier, settings.answer_all, settings.reply_to_source)
    committer = Committer(settings.name, keys, Carrier(store, counters, clock.boot), view, counters, clock.boot)
    responder = Responder(options, gate)
    rooms = Rooms(
        name=settings.name,
        keys=keys,
        store=store,
        view=view,
        clock=clock,
        counters=counters,
        configuration=Configuration(store, keys, counters, host.aside),
        membership=membership,
        offers=OfferTable(),
        committer=committer,
        responder=responder,
        lifeline=lifeline,
        upkeep=host.upkeep,
    )
    responder.enter(rooms)
    return rooms


def _tell(state: str, reason: str) -> None:
    logs.get().info("state", state=state, reason=reason)


def _report(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A fault in a callback costs the packet that it met, not the node."""
    logs.get().error("fault", message=context.get("message"), exc_info=context.get("exception"))

"""The configuration in force on this node: noticed through the watch, compiled aside, swapped at one revision.

The law of this file: a packet is decided on exactly one revision. While a newer one is being compiled nothing is
committed under the old one (the store would refuse it); one that cannot be loaded leaves the old one in place, and the
node says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from everlease import logs
from everlease.config.aside import Aside, retire, run
from everlease.config.problems import InvalidDocument
from everlease.core.model import Config
from everlease.errors import ConfigError
from everlease.runtime.ahead import Ahead
from everlease.runtime.counters import Counters
from everlease.store.api import Store, Unavailable
from everlease.store.configuration import Conflict, Documents
from everlease.store.keys import Keys
from everlease.store.records import BadRecord, Current

RETRY: Final = 0.5

RETIRE_AFTER: Final = 60.0
"""Seconds for which an old configuration stays whole."""


class Configuration:
    """current: what decisions are made on, None = nothing yet. seen: mod revision of the newest one, 0 = none.

    error: why `seen` is not what is current, "" = it is, or is being compiled. switched: called after each change of
    `current`, `seen` or `error`. aside: where documents are compiled. recover_until: until when a restored backup makes
    that unrecorded addresses are somebody's (cluster time), 0 = there is none; on_recovery: called with it, before
    anything is decided on the revision that says so. ahead: what is compiled before it comes into force.
    """

    def __init__(self, store: Store, keys: Keys, counters: Counters, aside: Aside | None = None) -> None:
        self.current: Config | None = None
        self.seen = 0
        self.error = ""
        self.recover_until = 0.0
        self.switched: Callable[[], None] = lambda: None
        self.on_recovery: Callable[[float], None] = lambda _until: None
        self.documents = Documents(store, keys)
        self.ahead = Ahead(self.documents)
        self._counters = counters
        self._aside = aside or Aside()
        self._retiring: set[asyncio.Task[None]] = set()
        self._wanted: tuple[Current | None, int] = (None, 0)
        self._loaded: Current | None = None
        self._news = asyncio.Event()

    @property
    def mod_revision(self) -> int:
        """Of the configuration that decisions are made on, for the fence; 0 = none."""
        return self.current.mod_revision if self.current is not None else 0

    def notice(self, current: Current | None, mod_revision: int) -> None:
        """The watch or a refused batch says what is in force now."""
        if mod_revision == self.seen:
            return
        self._wanted, self.seen = (current, mod_revision), mod_revision
        self._news.set()
        self.switched()

    def prepare(self) -> None:
        """Have the process that compiles start already: it takes a quarter of a second."""
        self._aside.prepare()

    async def begin(self, text: str | None, now: float) -> None:
        """Load what is in force; publish `text` (of --config-file) if that is nothing. now: seconds UTC.

        Raises Unavailable; InvalidDocument for a bad `text`.
        """
        current, mod_revision = await self.documents.current()
        if current is None and text is not None:
            await self._aside.load(text)
            with suppress(Conflict):  # another node was faster, with its own file
                await self.documents.publish(text, 0, "--config-file", "applied at start", now)
            current, mod_revision = await self.documents.current()
        self._wanted, self.seen = (current, mod_revision), mod_revision
        await self._load()

    async def run(self) -> None:
        """Follow what is in force until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self._load()
            except Unavailable:
                await asyncio.sleep(RETRY)
                self._news.set()

    async def _load(self) -> None:
        current, mod_revision = self._wanted
        if current is None or mod_revision == self.mod_revision:
            self.switched()
            return
        try:
            config = await self._read(current, mod_revision)
        except (ConfigError, BadRecord) as bad:
            self._refuse(current.revision, bad)
        else:
            if self.current is not None and self.current.subnets is not config.subnets:
                self._retire(self.current)
            self.current, self.error, self._loaded = config, "", current
            self.recover_until = current.recover_until
            self.on_recovery(current.recover_until)
            logs.get().info("configuration in force", revision=config.revision)
        self.switched()

    async def _read(self, current: Current, mod_revision: int) -> Config:
        """What came into force, compiled: here before, ahead of time, or now."""
        known = self.current
        if known is not None and self._is_loaded(current):
            return replace(known, mod_revision=mod_revision)  # what is said of it has changed, not what it says
        prepared = await self.ahead.take(current, mod_revision)
        if prepared is not None:
            return prepared
        text = await self.documents.fetch(current.revision)
        return await self._aside.load(text, revision=current.revision, mod_revision=mod_revision)

    def _is_loaded(self, current: Current) -> bool:
        """By number and text: after a rollback of the store a number may stand for another text."""
        loaded = self._loaded
        return loaded is not None and (loaded.revision, loaded.digest) == (current.revision, current.digest)

    def _refuse(self, revision: int, bad: ConfigError | BadRecord) -> None:
        self._counters.config_errors += 1
        reason = str(bad).splitlines()[0]
        which = f"configuration revision {revision}" if revision else "the configuration in force"
        self.error = f"{which} cannot be loaded: {reason}"
        problems = [str(each) for each in bad.problems] if isinstance(bad, InvalidDocument) else [reason]
        logs.get().error("configuration refused", revision=revision, problems=problems)

    async def close(self) -> None:
        """End what compiles."""
        await self.ahead.close()
        await self._aside.close()

    def _retire(self, old: Config | None) -> None:
        if old is not None:
            task = asyncio.get_running_loop().create_task(_take_apart(old))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)


async def _take_apart(old: Config) -> None:
    """Not before every listing that walks it has ended: those have deadlines."""
    await asyncio.sleep(RETIRE_AFTER)
    await run(retire(old))

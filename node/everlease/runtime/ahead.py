"""A large document that is about to come into force is compiled before it does.

Between a new revision and its being compiled a node commits nothing: for 10,000 subnets that would be seconds. So
whoever applies one lays it down first, waits until every node that serves has looked at it, and then puts it in force.

The law of this file: what is prepared is used only if it is the very revision and text that came into force; whatever
goes wrong here costs time, and is told when the document is in force.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from everlease.config.aside import compile_aside, retire, run
from everlease.core.model import Config
from everlease.errors import ConfigError, StoreError
from everlease.store.configuration import Documents
from everlease.store.records import Current


class Ahead:
    """done: digest of the coming document, once it was looked at, "" = none is coming; told: called when it changes."""

    def __init__(self, documents: Documents) -> None:
        self.done = ""
        self.told: Callable[[], None] = lambda: None
        self._documents = documents
        self._coming: Current | None = None
        self._config: Config | None = None
        self._task: asyncio.Task[None] | None = None

    def announce(self, coming: Current | None) -> None:
        """The watch says what is coming, None = nothing any more."""
        if coming is None or coming == self._coming:
            return  # what came into force is taken by `take`, whichever news is first
        self._forget()
        self._coming = coming
        self._task = asyncio.get_running_loop().create_task(self._prepare(coming))

    async def take(self, current: Current, mod_revision: int) -> Config | None:
        """What was prepared for the revision that came into force, if that is it; nothing is coming any more."""
        coming = self._coming
        if coming is None:
            return None
        fits = (coming.revision, coming.digest) == (current.revision, current.digest)
        if fits and self._task is not None:
            await self._task
        config = self._config if fits else None
        if config is not None:
            self._config = None
        self._forget()
        self.told()
        return replace(config, mod_revision=mod_revision) if config is not None else None

    async def close(self) -> None:
        """End what is being prepared."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _prepare(self, coming: Current) -> None:
        with suppress(ConfigError, StoreError):
            text = await self._documents.text(coming)
            self._config = await compile_aside(text, revision=coming.revision)
        self.done = coming.digest
        self.told()

    def _forget(self) -> None:
        if self._task is not None and not self._task.done():
            self._task.cancel()
        config, self._config = self._config, None
        self._coming, self._task, self.done = None, None, ""
        if config is not None:
            self._clearing = asyncio.get_running_loop().create_task(run(retire(config)))

"""A client of the store in a process of its own: commits at a steady rate, follows the watch, writes down what it saw.

`python -m store.stream PREFIX RATE TLS ENDPOINT...` until SIGTERM; TLS is a folder of certificates, or "-". The first
endpoint is the one that it prefers at first: a client that is pinned to what is going to fail. A line per settled
change: `change NUMBER SENT SETTLED OUTCOME REVISION`, a line per event that the view took: `event NUMBER REVISION AT`,
both in seconds of CLOCK_MONOTONIC, which all processes of a machine share. Changes go through the committer of a node
and its carrier; nothing is imitated.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path

from everlease.runtime.carrier import Carrier
from everlease.runtime.clock import boottime
from everlease.runtime.committer import NEW, Committer, Ticket
from everlease.runtime.counters import Counters
from everlease.store.api import KeyValue
from everlease.store.channel import Credentials
from everlease.store.etcd import EtcdStore
from everlease.store.keys import Keys
from everlease.store.leases import LeaseTable
from everlease.store.loader import Loader
from everlease.store.txn import plan
from everlease.store.view import View
from store.makers import NOW, grant

FIRST = 0x0A000000
PREFIXES = [("default", FIRST, FIRST + 0xFFFF)]


class WitnessedView(View):
    """Says which lease came through the watch or a listing, and when."""

    def _apply_lease(self, table: LeaseTable, address: int, record: KeyValue) -> bool:
        news = super()._apply_lease(table, address, record)
        if news:
            say("event", address - FIRST, record.revision, f"{time.monotonic():.4f}")
        return news

    def committed(self, change: object, revision: int) -> None:
        """Not written through: what the watch brings shall be seen as news."""


def say(*words: object) -> None:
    """One line, at once."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")


class Stream:
    """The rooms of a node between its packets and the store."""

    def __init__(self, prefix: str, endpoints: list[str], credentials: Credentials | None = None) -> None:
        self.store = EtcdStore(endpoints, credentials)
        for other in endpoints[1:]:
            self.store._members.answered(other, 1.0)
        self.keys = Keys(prefix)
        self.view = WitnessedView(self.keys, NOW)
        self.loader = Loader(self.store, self.keys, self.view, lambda: PREFIXES)
        self.counters = Counters()
        carrier = Carrier(self.store, self.counters, boottime)
        self.committer = Committer("n1", self.keys, carrier, self.view, self.counters, boottime)
        self.number = self.newest = 0

    def commit(self) -> None:
        """Grant the next address to the next client."""
        number, sent = self.number, time.monotonic()
        self.number += 1
        change = grant(FIRST + number, b"\x01%d" % number, nonce=number + 1)

        def settled(outcome: int) -> None:
            self.newest = max(self.newest, ticket.revision)
            say("change", number, f"{sent:.4f}", f"{time.monotonic():.4f}", outcome, ticket.revision)

        ticket = Ticket(plan(self.keys, change), NEW, 0, boottime(), settled, change)
        self.committer.enter(ticket)

    async def run(self, rate: float) -> None:
        """Commit `rate` changes a second until cancelled; a stopped process does not catch up."""
        self.store.start_probing()
        loading = asyncio.create_task(self.loader.run())
        await self.loader.loaded.wait()
        say("loaded")
        try:
            while True:
                self.commit()
                await asyncio.sleep(1 / rate)
        finally:
            await self._end()
            loading.cancel()

    async def _end(self) -> None:
        while self.committer.in_flight or self.view.revision < self.newest:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        say("hedges", sum(self.counters.hedges.values()))
        say("loads", self.view.loads)
        await self.committer.close()
        await self.store.close()


async def main(prefix: str, rate: float, endpoints: list[str], folder: str) -> None:
    """Run until SIGTERM."""
    tls = Path(folder)
    credentials = Credentials(tls / "ca.crt", tls / "node.crt", tls / "node.key") if folder else None
    stream = Stream(prefix, endpoints, credentials)
    running = asyncio.create_task(stream.run(rate))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, running.cancel)
    loop.add_signal_handler(signal.SIGHUP, lambda: rereading.append(loop.create_task(stream.store.reread())))
    rereading: list[asyncio.Task[None]] = []
    await asyncio.gather(running, return_exceptions=True)


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), sys.argv[4:], sys.argv[3].removeprefix("-")))

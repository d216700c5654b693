"""The quickstart's story, step by step: a cluster starts, a client binds, storage stops, the client goes on.

Each step says what happened and how long it took, or raises LabError: the story never claims what it did not see.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live

from everlease.lab.netns import Lab
from everlease.lab.processes import LabError, wait_until
from everlease.quickstart import status
from everlease.quickstart.clients import Binding, Client
from everlease.quickstart.stage import Host, Stage, loopback, namespaces

Say = Callable[[str], None]


def run(once: bool, console: Console) -> bool:
    """Tell the story; then, unless `once`, show the live table until Ctrl-C. True = everything held."""
    events: list[str] = []
    begun = time.monotonic()

    def say(text: str) -> None:
        events.append(f"{time.monotonic() - begun:6.1f} s  {text}")
        console.print(events[-1], highlight=False)

    try:
        with _stage() as stage:
            client = tell(stage, say)
            if not once:
                _watch(stage, client, say, events, console)
    except LabError as error:
        console.print(f"[red]the story ended early:[/] {error}")
        return False
    except KeyboardInterrupt:
        console.print("everything has been stopped and removed")
    return True


@contextmanager
def _stage() -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="everlease-quickstart-") as name:
        if os.geteuid() == 0:
            with Lab(Path(name)) as lab:
                stage = namespaces(lab)
                lab.on_close(stage.stop)
                yield stage
        else:
            stage = loopback(Path(name))
            try:
                yield stage
            finally:
                stage.stop()


def tell(stage: Stage, say: Say) -> Client:
    """The whole story; returns the client that lived through it."""
    stage.start_store()
    say(f"etcd: {len(stage.etcd.members)} members commit")
    stage.start_nodes()
    wait_until(lambda: all(status.ask(host).ready for host in stage.hosts), 30, "every node ready")
    say(f"everlease: {len(stage.hosts)} nodes serve")
    client = stage.new_client()
    first = client.bind()
    server = _server(stage, first)
    say(f"{client.program}: bound to {first.address} by {server.name} in {first.seconds:.2f} s")
    _stop_storage(stage, server, say)
    _go_on(stage, client, first, say)
    _notice(server, say)
    _heal(stage, server, say)
    return client


def _stop_storage(stage: Stage, server: Host, say: Say) -> None:
    leader = stage.etcd.leader()
    stage.etcd.pause(leader)
    server.close_valve()
    say(f"the storage stops: {stage.etcd.members[leader].name}, the store's leader, is frozen; and {server.name},")
    say("    the client's own server, stays connected to the store and hears nothing from it. Nobody is told")


def _go_on(stage: Stage, client: Client, first: Binding, say: Say) -> None:
    kept = client.extend()
    if kept.address != first.address:
        raise LabError(f"the client had {first.address} and was given {kept.address}")
    say(f"{client.program}: keeps {kept.address}, extended by {_server(stage, kept).name} after {kept.seconds:.2f} s")
    newcomer = stage.new_client()
    second = newcomer.bind()
    if second.address == first.address:
        raise LabError(f"{first.address} was given to two clients")
    say(f"a new client: bound to {second.address} by {_server(stage, second).name} in {second.seconds:.2f} s")


def _notice(server: Host, say: Say) -> None:
    silent = wait_until(lambda: _silent(server), 10, f"{server.name} says that it cannot serve")
    say(f"{silent.name} knows it: {silent.state}, not ready, passed over by the others")


def _silent(host: Host) -> status.NodeStatus | None:
    seen = status.ask(host)
    return None if seen.ready else seen


def _heal(stage: Stage, server: Host, say: Say) -> None:
    for number in range(len(stage.etcd.members)):
        stage.etcd.resume(number)
    server.open_valve()
    begun = time.monotonic()
    wait_until(lambda: all(status.ask(host).ready for host in stage.hosts), 30, "every node ready again")
    say(f"the storage is back: all {len(stage.hosts)} nodes serve again after {time.monotonic() - begun:.1f} s")


def _server(stage: Stage, binding: Binding) -> Host:
    for host in stage.hosts:
        if host.identifier == binding.server:
            return host
    raise LabError(f"{binding.server}, which answered, is none of our nodes")


def _watch(stage: Stage, client: Client, say: Say, events: list[str], console: Console) -> None:
    """The live table; the client renews every ten seconds."""
    say("the cluster goes on; Ctrl-C ends it and cleans up")
    renew_at = time.monotonic() + 10
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(status.table([status.ask(host) for host in stage.hosts], stage.etcd, events), refresh=True)
            time.sleep(1)
            if time.monotonic() > renew_at:
                kept = client.extend()
                events.append(f"{client.program}: renewed {kept.address} in {kept.seconds:.3f} s")
                renew_at = time.monotonic() + 10

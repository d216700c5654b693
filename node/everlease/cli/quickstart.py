"""`everlease quickstart`: a cluster on this machine, and what it does when storage stops."""

from __future__ import annotations

from typing import Annotated

import typer

from everlease.cli.connect import REFUSED
from everlease.cli.output import console

app = typer.Typer(add_completion=False)


@app.command()
def quickstart(
    once: Annotated[
        bool, typer.Option("--once", help="Tell the story and leave: 0 if everything held, else 1.")
    ] = False,
) -> None:
    """Start three etcd members, three nodes and a client on this machine, then stop storage under them."""
    from everlease.quickstart.story import run  # noqa: PLC0415  (processes and sockets, for this command only)

    if not run(once, console()):
        raise typer.Exit(REFUSED)

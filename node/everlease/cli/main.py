"""`everlease`: a table of commands, each in a file of its own that is read when somebody asks for it.

Exit codes: 0 done, 1 refused, 2 usage, 3 nobody reachable.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from everlease.cli.plain import plainly

COMMANDS: Final = {
    "quickstart": "Start a cluster on this machine, then stop storage under it.",
    "node": "Serve DHCP until SIGTERM.",
    "config": "The cluster configuration: check, apply and show it; its history.",
    "lease": "Leases: list, show, add, release and watch them.",
    "subnet": "Subnets: list, show, drain and resume them; how full they are.",
    "reservation": "Reservations: list, add, remove and import them.",
    "cluster": "The cluster: its nodes and its store.",
    "backup": "Backups: save, verify and restore them; etcd's snapshots.",
    "explain": "What would this client get, from whom, and why?",
    "probe": "Ask as a client, and show every server that answers.",
    "audit": "Who changed what, as it happens.",
    "doctor": "Inspect machine, etcd and cluster, and say what to change.",
}
"""What `--help` says of each, in its order; the module `everlease.cli.NAME` has its `app`."""


class LazyGroup(TyperGroup):
    """Reads a command's module when it is used: neither `--version` nor `--help` nor a Tab waits for gRPC."""

    _naming = False

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As Typer does, without what its own few flags do not need."""
        plainly(self, ctx)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:
        """Names, in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, read from its module at first; while they are only named, its line of the table."""
        if cmd_name in COMMANDS and cmd_name not in self.commands:
            if self._naming:
                return TyperCommand(cmd_name, help=COMMANDS[cmd_name])
            command = typer.main.get_command(import_module(f"everlease.cli.{cmd_name}").app)
            command.name = cmd_name
            self.commands[cmd_name] = command
        return self.commands.get(cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """As Typer does."""
        with self._only_named():
            super().format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """As Typer does."""
        with self._only_named():
            return super().shell_complete(ctx, incomplete)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Typer suggests among the commands that are there: before an error all of them are."""
        if args[0] not in COMMANDS:
            with self._only_named():
                self.commands.update({name: self.get_command(ctx, name) for name in COMMANDS})
        return super().resolve_command(ctx, args)

    @contextmanager
    def _only_named(self) -> Iterator[None]:
        self._naming = True
        try:
            yield
        finally:
            self._naming = False


app = typer.Typer(cls=LazyGroup, name="everlease", no_args_is_help=True, pretty_exceptions_enable=False)


def _version(wanted: bool) -> None:
    if wanted:
        from everlease import __version__  # noqa: PLC0415  (read for this option only)

        typer.echo(f"everlease {__version__}")
        raise typer.Exit


@app.callback()
def everlease(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """A DHCP service that no single stuck disk, lock, process or host can stop."""


def main() -> None:
    """The console script. A reader that goes away (`| head`) is no error."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # it writes, in a form of its own, what it also returns as an error
    try:
        app()
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)

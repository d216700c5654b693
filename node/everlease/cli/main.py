"""`everlease`: a table of commands, each in a file of its own that is read when somebody asks for it.

Exit codes: 0 done, 1 refused, 2 usage, 3 nobody reachable.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

COMMANDS: Final = {
    "quickstart": "everlease.cli.quickstart",
    "node": "everlease.cli.node",
    "config": "everlease.cli.config",
    "lease": "everlease.cli.lease",
    "subnet": "everlease.cli.subnet",
    "cluster": "everlease.cli.cluster",
    "explain": "everlease.cli.explain",
    "probe": "everlease.cli.probe",
}
"""Each module has an `app`. Their order is that of `--help`."""


class LazyGroup(TyperGroup):
    """Reads a command's module when it is named: `everlease --version` must not wait for gRPC."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names, in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, read from its module at first."""
        if cmd_name in COMMANDS and cmd_name not in self.commands:
            command = typer.main.get_command(import_module(COMMANDS[cmd_name]).app)
            command.name = cmd_name
            self.commands[cmd_name] = command
        return self.commands.get(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Typer suggests among the commands that are there: before an error all of them are."""
        if args[0] not in COMMANDS:
            for name in COMMANDS:
                self.get_command(ctx, name)
        return super().resolve_command(ctx, args)


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
    try:
        app()
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)

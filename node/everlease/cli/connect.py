"""How every command reaches a node, and what it says and returns when that fails.

`@with_server` gives a command the options `--server --ca --cert --key` and, as its first argument, an open `Client`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, get_type_hints

import typer

from everlease.cli.output import Format
from everlease.client import DEFAULT_SERVER, Client, Credentials, Problem, Refused, Unreachable
from everlease.errors import ConfigError

REFUSED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3

Output = Annotated[Format, typer.Option("--output", "-o", help="How to print it.")]

_CONNECTION: Final = {
    "server": (
        Annotated[str, typer.Option(envvar="EVERLEASE_SERVER", metavar="HOST:PORT", help="A node's admin address.")],
        DEFAULT_SERVER,
    ),
    "ca": (
        Annotated[Path | None, typer.Option(envvar="EVERLEASE_CA", help="Certificates that the server is checked by.")],
        None,
    ),
    "cert": (Annotated[Path | None, typer.Option(envvar="EVERLEASE_CERT", help="Own certificate (PEM).")], None),
    "key": (Annotated[Path | None, typer.Option(envvar="EVERLEASE_KEY", help="Its private key (PEM).")], None),
}


def with_server(command: Callable[..., None]) -> Callable[..., None]:
    """Add the connection's options to a command, and turn its errors into messages and exit codes."""

    @wraps(command)
    def run(**values: Any) -> None:
        server = values.pop("server")
        files = Credentials(values.pop("ca"), values.pop("cert"), values.pop("key"))
        try:
            with Client(server, files) as client:
                command(client, **values)
        except Unreachable as error:
            fail(_unreachable(server, error), UNREACHABLE)
        except Refused as error:
            refuse(str(error), error.problems)
        except ConfigError as error:
            fail(str(error), USAGE)

    own = list(inspect.signature(command).parameters.values())[1:]
    hints = get_type_hints(command, include_extras=True)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)
        for name, (hint, default) in _CONNECTION.items()
    ]
    taken = [each.replace(annotation=hints[each.name], kind=inspect.Parameter.KEYWORD_ONLY) for each in own]
    run.__signature__ = inspect.Signature([*taken, *added])  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in [*taken, *added]}
    return run


def fail(message: str, code: int) -> NoReturn:
    """Say one thing on standard error, and leave."""
    typer.echo(f"everlease: {message}", err=True)
    raise typer.Exit(code)


def refuse(message: str, problems: tuple[Problem, ...] = (), source: str = "") -> NoReturn:
    """Say everything that is wrong, and leave with 1. source: the file that the lines belong to."""
    typer.echo(f"everlease: {message}", err=True)
    for problem in problems:
        typer.echo(f"  {line_of(problem, source)}", err=True)
    raise typer.Exit(REFUSED)


def line_of(problem: Problem, source: str = "") -> str:
    """ "office.yaml:12: subnets[0].prefix: not a network"."""
    place = ":".join(part for part in (source, str(problem.line) if problem.line else "") if part)
    if place and not source:
        place = f"line {place}"
    return ": ".join(part for part in (place, problem.path, problem.message) if part)


def _unreachable(server: str, error: Unreachable) -> str:
    if error.answered:
        return f"{server} answered, but could not do it now: {error}"
    return (
        f"no node answered at {server}. Is one running, and is its admin address reachable from here? Name another one "
        f"with --server HOST:PORT or EVERLEASE_SERVER; `everlease node --help` shows how to start one. ({error})"
    )

"""How every command reaches a cluster, and what it says and returns when that fails.

`@with_server` gives a command the options of a connection and, as its first argument, an open `Client`.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, get_type_hints

import typer

from everlease.cli.output import Format
from everlease.client import (
    DEFAULT_SERVER,
    Client,
    Compacted,
    Credentials,
    Denied,
    OutcomeUnknown,
    Problem,
    Refused,
    Unreachable,
)
from everlease.errors import ConfigError

REFUSED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3

Output = Annotated[Format, typer.Option("--output", "-o", help="How to print it.")]


def _option(variable: str, words: str, metavar: str, **more: Any) -> Any:
    return typer.Option(envvar=variable, help=words, metavar=metavar, rich_help_panel="Connection", **more)


_File = Path | None
_CONNECTION: Final = {
    "server": (
        Annotated[str, _option("EVERLEASE_SERVER", "Admin addresses of one or more nodes.", "HOST:PORT[,...]")],
        DEFAULT_SERVER,
    ),
    "ca": (Annotated[_File, _option("EVERLEASE_CA", "Certificates that the server is checked by.", "FILE")], None),
    "cert": (Annotated[_File, _option("EVERLEASE_CERT", "Own certificate (PEM).", "FILE")], None),
    "key": (Annotated[_File, _option("EVERLEASE_KEY", "Its private key (PEM).", "FILE")], None),
    "token_file": (
        Annotated[_File, _option("EVERLEASE_TOKEN_FILE", "Bearer token; or as text in EVERLEASE_TOKEN.", "FILE")],
        None,
    ),
    "timeout": (
        Annotated[float, _option("EVERLEASE_TIMEOUT", "For each answer.", "SECONDS", min=0.1, max=3600)],
        10.0,
    ),
}

_CAUSES: Final = (
    ("Connection refused", "nothing listens there: is the node running, and is that its --admin address?"),
    ("DNS resolution failed", "that name is not known here"),
    ("Domain name not found", "that name is not known here"),
    ("No route to host", "there is no way to that host from here"),
    ("Network is unreachable", "there is no way to that host from here"),
    ("CERTIFICATE_VERIFY_FAILED", "its certificate is not one that --ca vouches for, or not for this name"),
    ("Peer name", "its certificate is for another name: use the name that it was issued for"),
    ("WRONG_VERSION_NUMBER", "it does not speak TLS there: leave --ca, --cert and --key out"),
    ("Deadline", "it did not answer in time: is a firewall in between, or is the host stuck?"),
    ("timed out", "it did not answer in time: is a firewall in between, or is the host stuck?"),
    ("Socket closed", "it hung up: it may want TLS (--ca, and --cert with --key)"),
    ("Connection reset", "it hung up: it may want TLS (--ca, and --cert with --key)"),
    ("no connection in time", "it did not answer in time: is a firewall in between, or is the host stuck?"),
)
"""What gRPC says -> what to look at. The first that fits."""


def with_server(command: Callable[..., None]) -> Callable[..., None]:
    """Add the connection's options to a command, and turn its errors into messages and exit codes."""

    @wraps(command)
    def run(**values: Any) -> None:
        server, timeout = values.pop("server"), values.pop("timeout")
        own = {name: values.pop(name) for name in ("ca", "cert", "key", "token_file")}
        try:
            with Client(server, Credentials(**own, token=os.environ.get("EVERLEASE_TOKEN", "")), timeout) as client:
                command(client, **values)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except OutcomeUnknown as error:
            fail(str(error), UNREACHABLE)
        except Unreachable as error:
            fail(_unreachable(server, error), UNREACHABLE)
        except Refused as error:
            refuse(_refused(error), error.problems)
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


def cause_of(message: str) -> str:
    """What gRPC said of a connection, in words that help; as it is where we have none."""
    for found, words in _CAUSES:
        if found in message:
            return words
    return message


def _unreachable(server: str, error: Unreachable) -> str:
    if error.answered:
        return f"{server} answered, but could not do it now: {error}"
    if len(error.said) == 1:
        (said,) = error.said.values()
        causes = f": {cause_of(said)}"
    else:
        causes = "".join(f"\n  {name}: {cause_of(said)}" for name, said in error.said.items()) or f": {error}"
    return (
        f"no node answered at {server}{causes}\nName another one with --server HOST:PORT or EVERLEASE_SERVER; "
        "`everlease node --help` shows how to start one"
    )


def _refused(error: Refused) -> str:
    if isinstance(error, Denied):
        return f"{error}. Say who you are with --token-file or with --cert and --key"
    if error.code == "UNIMPLEMENTED":
        return "this node does not know that yet: it runs an older version of everlease"
    if isinstance(error, Compacted) and error.restart_revision:
        return f"{error} (the oldest that is left is {error.restart_revision})"
    return str(error)

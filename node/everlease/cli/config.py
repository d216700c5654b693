"""`everlease config`: check a document, put it in force, show what is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from everlease.cli.connect import USAGE, Output, fail, line_of, refuse, with_server
from everlease.cli.output import Format, write
from everlease.cli.values import author, time_text
from everlease.client import Client, Problem, Refused
from everlease.config.load import InvalidDocument, load
from everlease.config.schema import json_schema
from everlease.pb.admin.v1.config_service_pb2 import ApplyConfigResponse

app = typer.Typer(no_args_is_help=True, add_completion=False, help="The cluster configuration: check, apply, show it.")

File = Annotated[Path, typer.Argument(metavar="FILE", help="YAML or JSON; - reads standard input.")]


@app.command()
def validate(file: File) -> None:
    """Check a document, offline: every problem with its path and line."""
    text = _read(file)
    try:
        config = load(text)
    except InvalidDocument as bad:
        _refuse(file, tuple(Problem(each.path, each.line, each.message) for each in bad.problems))
    reservations = sum(len(subnet.reservations) for subnet in config.subnets.values())
    counts = ((len(config.subnets), "subnet"), (reservations, "reservation"), (len(config.classes), "class"))
    typer.echo(f"{file}: valid: {', '.join(_count(*each) for each in counts)}")


@app.command()
@with_server
def apply(
    client: Client,
    file: File,
    comment: Annotated[str, typer.Option(help="Why; kept in the history.")] = "",
    expect_revision: Annotated[
        int | None, typer.Option(min=0, help="Only if this revision is in force (0: none yet).")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Although leases are orphaned, and whatever revision is in force.")
    ] = False,
) -> None:
    """Put a document in force on every node, and say what it changed."""
    text = _read(file)
    problems = client.validate_config(text).problems
    if problems:
        _refuse(file, tuple(Problem(each.path, each.line, each.message) for each in problems))
    try:
        answer = client.apply_config(
            text,
            expect_revision=expect_revision,
            validate_only=dry_run,
            force=force,
            comment=comment,
            author=author(),
        )
    except Refused as refused:
        refuse(f"{file}: {refused}", refused.problems)
    _tell(answer, dry_run=dry_run)


@app.command()
@with_server
def show(
    client: Client,
    revision: Annotated[int, typer.Option(min=0, help="An earlier one; without it the one in force.")] = 0,
    output: Output = Format.TABLE,
) -> None:
    """Print a document as it was written (the table form is the document itself)."""
    config = client.get_config(revision)
    if output is Format.TABLE:
        sys.stdout.write(config.document if config.document.endswith("\n") else f"{config.document}\n")
        return
    row = {
        "revision": config.revision,
        "current": config.current,
        "author": config.author,
        "comment": config.comment,
        "applied": time_text(config.apply_time),
        "digest": config.etag,
        "document": config.document,
    }
    write(row, output)


@app.command()
def schema() -> None:
    """Print the document's JSON Schema, for editors and other tools."""
    typer.echo(json.dumps(json_schema(), indent=2))


def _count(number: int, word: str) -> str:
    plural = f"{word}es" if word.endswith("s") else f"{word}s"
    return f"{number} {word if number == 1 else plural}"


def _read(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}", USAGE)
    except UnicodeDecodeError as error:
        fail(f"{file} is not text in UTF-8: octet {error.start} is {error.object[error.start]:#04x}", USAGE)


def _refuse(file: Path, problems: tuple[Problem, ...]) -> None:
    for each in problems:
        typer.echo(line_of(each, str(file)), err=True)
    refuse(f"{file} has {_count(len(problems), 'problem')}")


def _tell(answer: ApplyConfigResponse, *, dry_run: bool) -> None:
    for line in answer.changes:
        typer.echo(f"  {line}")
    for line in answer.orphans:
        typer.echo(f"  warning: {line}", err=True)
    revision = answer.config.revision
    if dry_run:
        typer.echo(f"dry run: nothing was changed; revision {revision} stays in force" if revision else "dry run")
    else:
        typer.echo(f"revision {revision} is in force")

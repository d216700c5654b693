"""`everlease config`: check a document, put it in force, go through its history."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from everlease.cli.ask import Yes, confirm
from everlease.cli.changes import Comment, DryRun, tell_change
from everlease.cli.complete import revisions
from everlease.cli.connect import USAGE, Output, fail, line_of, refuse, with_server
from everlease.cli.output import Column, Format, plain, printable, say, show, write
from everlease.cli.progress import waiting
from everlease.cli.values import author, time_text
from everlease.client import Client, Problem, Refused
from everlease.pb.admin.v1.config_service_pb2 import Config, RollbackConfigResponse

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="The cluster configuration: check, apply and show it; its history."
)

File = Annotated[Path, typer.Argument(metavar="FILE", help="YAML or JSON; - reads standard input.")]
Expected = Annotated[int | None, typer.Option(min=0, help="Only if this revision is in force (0: none yet).")]
Force = Annotated[
    bool, typer.Option("--force", help="Although leases are orphaned, and whatever revision is in force.")
]


@app.command()
def validate(file: File) -> None:
    """Check a document, offline: every problem with its path and line."""
    from everlease.config.load import InvalidDocument, load  # noqa: PLC0415  (half a second; the others need none of it)

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
    comment: Comment = "",
    expect_revision: Expected = None,
    dry_run: DryRun = False,
    force: Force = False,
    manager: Annotated[
        str, typer.Option(help="Name of a program that applies what it changed, over nobody else's change.")
    ] = "",
) -> None:
    """Put a document in force on every node, and say what it changed."""
    text = _read(file)
    with waiting(f"checking {file}"):
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
            manager=manager,
        )
    except Refused as refused:
        refuse(f"{file}: {refused}", refused.problems)
    tell_change(answer, answer.config.revision, dry_run)


@app.command("show")
@with_server
def show_config(
    client: Client,
    revision: Annotated[
        int, typer.Option(min=0, help="An earlier one; without it the one in force.", autocompletion=revisions)
    ] = 0,
    output: Output = Format.TABLE,
) -> None:
    """Print a document as it was written (the table form is the document itself)."""
    config = client.get_config(revision)
    if output is Format.TABLE:
        sys.stdout.write(config.document if config.document.endswith("\n") else f"{config.document}\n")
    else:
        write({**row_of(config), "document": config.document}, output)


def row_of(config: Config) -> dict[str, Any]:
    """An entry of the history as programs get it."""
    return {
        "revision": config.revision,
        "current": config.current,
        "author": config.author,
        "comment": config.comment,
        "applied": time_text(config.apply_time),
        "etag": config.etag,
        "document_kept": config.document_kept,
        "manager": config.manager,
    }


_COLUMNS = (
    Column("REVISION", lambda row: f"{row['revision']}{' [green]in force[/]' if row['current'] else ''}"),
    Column("APPLIED", plain("applied")),
    Column("AUTHOR", plain("author"), spare=1),
    Column("COMMENT", plain("comment"), spare=2, most=24),
    Column("DOCUMENT", lambda row: "kept" if row["document_kept"] else "[dim]gone[/]", spare=3),
)


@app.command()
@with_server
def history(client: Client, output: Output = Format.TABLE) -> None:
    """List who put what in force, when and why; the newest first."""
    rows = (row_of(config) for config in client.list_config_revisions())
    show(rows, _COLUMNS, output, "no configuration has been applied yet")


@app.command()
@with_server
def diff(
    client: Client,
    a: Annotated[
        str, typer.Argument(help="A revision, or a file; without it the one before.", autocompletion=revisions)
    ] = "",
    b: Annotated[str, typer.Argument(help="The same; without it the one in force.", autocompletion=revisions)] = "",
    output: Output = Format.TABLE,
) -> None:
    """Show what is different between two revisions, or a revision and a file: in meaning, and as text."""
    answer = _compared(client, a, b)
    row = {
        "from_revision": answer.from_revision,
        "to_revision": answer.to_revision,
        "changes": list(answer.changes),
        "text_diff": answer.text_diff,
    }
    if output is not Format.TABLE:
        write(row, output)
        return
    for line in answer.changes:
        typer.echo(f"  {printable(line)}")
    if not answer.text_diff:
        typer.echo("nothing is different")
    for line in answer.text_diff.splitlines():
        say(Text(printable(line), style=_DIFF_STYLES.get(line[:1], "")))


_DIFF_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def _compared(client: Client, a: str, b: str) -> Any:
    """A file may stand on either side; what is compared with it is a revision."""
    if not a:
        current = client.get_config().revision
        return client.diff_configs(max(current - 1, 1), to_revision=current)
    if a.isdigit() and (b.isdigit() or not b):
        return client.diff_configs(int(a), to_revision=int(b or 0))
    if a.isdigit():
        return client.diff_configs(int(a), document=_read(Path(b)))
    if b and not b.isdigit():
        fail("two files: compare them with diff; one side is a revision here", USAGE)
    return client.diff_configs(int(b or 0), document=_read(Path(a)))


@app.command()
@with_server
def rollback(
    client: Client,
    revision: Annotated[
        int, typer.Argument(min=1, help="Whose document shall be in force again.", autocompletion=revisions)
    ],
    comment: Comment = "",
    expect_revision: Expected = None,
    dry_run: DryRun = False,
    force: Force = False,
    yes: Yes = False,
) -> None:
    """Put the document of an old revision in force, as a new revision."""
    present = client.get_config().revision if expect_revision is None else expect_revision

    def ask(*, validate_only: bool) -> RollbackConfigResponse:
        return client.rollback_config(
            revision,
            expect_revision=present,
            validate_only=validate_only,
            force=force,
            comment=comment,
            author=author(),
        )

    if not dry_run and not yes:
        tell_change(ask(validate_only=True), present, dry_run=True)
        confirm(f"Put revision {revision} in force in place of {present}?", yes)
    answer = ask(validate_only=dry_run)
    tell_change(answer, answer.config.revision, dry_run)


@app.command()
def schema() -> None:
    """Print the document's JSON Schema, for editors and other tools."""
    from everlease.config.schema import json_schema  # noqa: PLC0415

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

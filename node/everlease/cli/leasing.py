"""Leases as files: `everlease lease export` and `import`. An import is a restore, with its rules and its report."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from everlease.cli.ask import Yes, confirm
from everlease.cli.complete import subnet_ids
from everlease.cli.connect import REFUSED, USAGE, Output, fail
from everlease.cli.output import Format
from everlease.cli.progress import progress
from everlease.client import Client

FORMS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
"""`everlease.backup.tables` writes them; it is read, with all that it needs, when a file is to be written or read."""

File = Annotated[Path, typer.Argument(help="CSV or JSON lines, by its suffix: .csv, .jsonl.", dir_okay=False)]


def export(
    client: Client,
    file: File,
    subnet: Annotated[int, typer.Option(min=0, help="Only this subnet (its id).", autocompletion=subnet_ids)] = 0,
    space: Annotated[str, typer.Option(help="Address space.")] = "",
    yes: Yes = False,
) -> None:
    """Write all leases of one moment into a file; it appears when it is whole."""
    from everlease.backup import files, lease_tables, tables  # noqa: PLC0415

    form = FORMS.get(file.suffix)
    if form is None:
        fail(f"{file}: a name that ends in .csv or .jsonl says what to write", USAGE)
    if file.exists():
        confirm(f"{file} exists. Replace it?", yes)
    count = 0
    with progress("leases", None) as tell:

        def rows() -> Iterator[dict[str, str]]:
            nonlocal count
            for lease in client.list_leases(subnet=subnet, space=space, page_size=1000):
                count += 1
                tell(count, None)
                yield lease_tables.row_of(lease)

        try:
            files.write_whole(file, tables.write(rows(), lease_tables.COLUMNS, form))
        except OSError as error:
            fail(f"{file} cannot be written: {error.strerror}", USAGE)
    typer.echo(f"{file}: {count:,} lease{'s' * (count != 1)}")


def import_file(
    client: Client,
    file: File,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")] = False,
    yes: Yes = False,
    output: Output = Format.TABLE,
) -> None:
    """Put leases of a file into the cluster, such as another server's; no live promise is shortened."""
    from everlease.backup import lease_tables  # noqa: PLC0415
    from everlease.backup.lines import Damaged  # noqa: PLC0415
    from everlease.cli.backup import report  # noqa: PLC0415

    now = time.time()
    try:
        leases = lease_tables.leases(file.read_text(encoding="utf-8"), now)
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}", USAGE)
    except UnicodeDecodeError:
        fail(f"{file} is not text in UTF-8", USAGE)
    except Damaged as damaged:
        fail(f"{file}:{damaged.line}: {damaged.what}", REFUSED)
    if not dry_run:
        confirm(f"Put {len(leases):,} leases of {file} into the cluster?", yes)
    with progress("restoring", None, octets=True) as tell:

        def chunks() -> Iterator[bytes]:
            sent = 0
            for chunk in lease_tables.backup_of(leases, now):
                yield chunk
                sent += len(chunk)
                tell(sent, None)

        answer = client.restore_backup(chunks(), validate_only=dry_run, recovery="off")
    report(answer, output)
    if dry_run:
        typer.echo("dry run: nothing was written", err=True)

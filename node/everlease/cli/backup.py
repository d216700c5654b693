"""`everlease backup`: the portable copy of a cluster, saved, checked and put back; etcd's own snapshots beside it."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from everlease.backup import files
from everlease.backup.lines import Damaged
from everlease.cli.ask import Yes, confirm
from everlease.cli.connect import REFUSED, USAGE, Output, fail, with_server
from everlease.cli.output import Column, Format, details, plain, printable, show
from everlease.cli.progress import Tell, progress
from everlease.cli.values import enum_text, time_text
from everlease.client import Client
from everlease.pb.admin.v1.backup_service_pb2 import ConflictKind, RestoreBackupResponse

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Backups: save, verify and restore them; etcd's snapshots."
)

File = Annotated[Path, typer.Argument(help="The backup.", dir_okay=False)]
_COUNTS = (
    "leases_added", "leases_extended", "leases_kept", "leases_skipped", "reservations_added", "reservations_kept",
    "config_revision", "drains_added", "unreadable", "conflict_count",
)  # fmt: skip


class Recovery(StrEnum):
    """Values of `--recovery`."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


@app.command()
@with_server
def save(
    client: Client,
    file: Annotated[Path, typer.Argument(help="Where to; it appears when it is whole.", dir_okay=False)],
    yes: Yes = False,
) -> None:
    """Save configuration, reservations and leases of one revision into one file, while the cluster serves."""
    if file.exists():
        confirm(f"{file} exists. Replace it?", yes)
    try:
        with progress("saving leases", None) as tell:
            end = files.save(file, _saving(client, tell))
    except Damaged as damaged:
        fail(f"what came is not what was sent ({damaged}); {file} was not written", REFUSED)
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror}", USAGE)
    counts = ", ".join(f"{count:,} {kind}{'s' * (count != 1)}" for kind, count in end.counts.items() if count)
    typer.echo(f"{file}: {counts or 'an empty cluster'}; {file.stat().st_size:,} bytes, checked")


def _saving(client: Client, tell: Tell) -> Iterator[bytes]:
    for piece in client.save_backup():
        tell(piece.leases, piece.leases_expected)
        yield piece.data


@app.command()
def verify(file: File, output: Output = Format.TABLE) -> None:
    """Check a file, offline: its checksum, every record, and the configuration in it."""
    from everlease.backup.verify import verify as check  # noqa: PLC0415  (the whole configuration: for this alone)

    try:
        contents = check(file)
    except Damaged as damaged:
        fail(f"{file} is no whole backup: {damaged}", REFUSED)
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}", USAGE)
    header, configuration = contents.header, contents.configuration
    row = {
        "file": str(file),
        "saved": header.saved_at,
        "revision": header.revision,
        "cluster": header.cluster,
        "node": header.node,
        "software": header.software,
        "config_revision": configuration.revision if configuration else 0,
        "live_leases": contents.live,
        **{f"{kind}_lines": count for kind, count in sorted(contents.counts.items())},
    }
    details(row, output)


@app.command()
@with_server
def restore(
    client: Client,
    file: File,
    recovery: Annotated[
        Recovery, typer.Option(help="on: it is the copy of a cluster that was lost; off: nothing was granted since.")
    ] = Recovery.AUTO,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")] = False,
    yes: Yes = False,
    output: Output = Format.TABLE,
) -> None:
    """Put a file back, into an empty or a live cluster; no live promise is shortened."""
    try:
        if dry_run or not yes:
            report(_restore(client, file, recovery, validate_only=True), output if dry_run else Format.TABLE)
            if dry_run:
                typer.echo("dry run: nothing was written", err=True)
                return
            confirm(f"Put {file} back like that?", yes)
        report(_restore(client, file, recovery, validate_only=False), output)
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}", USAGE)


def _restore(client: Client, file: Path, recovery: Recovery, *, validate_only: bool) -> RestoreBackupResponse:
    size, words = file.stat().st_size, "checking" if validate_only else "restoring"
    with progress(words, size, octets=True) as tell:

        def chunks() -> Iterator[bytes]:
            sent = 0
            for chunk in files.read(file):
                yield chunk
                sent += len(chunk)
                tell(sent, None)

        wanted = "unspecified" if recovery is Recovery.AUTO else recovery.value
        return client.restore_backup(chunks(), validate_only=validate_only, recovery=wanted)


_CONFLICTS = (Column("WHAT", plain("resource")), Column("WHY", plain("kind")), Column("", plain("description")))


def report(answer: RestoreBackupResponse, output: Format) -> None:
    """What became of the records, or would."""
    row: dict[str, Any] = {"saved": time_text(answer.save_time)}
    row |= {name: getattr(answer, name) for name in _COUNTS}
    row["recover_until"] = time_text(answer.recover_until_time)
    conflicts = [
        {
            "kind": enum_text(ConflictKind.Name(each.kind), "CONFLICT_KIND_"),
            "resource": each.resource,
            "description": each.description,
        }
        for each in answer.conflicts
    ]
    if output is not Format.TABLE:
        details({**row, "conflicts": conflicts}, output)
        return
    details({key: value for key, value in row.items() if value not in (0, None)}, output)
    if conflicts:
        typer.echo("\nleft as it is now:")
        show(conflicts, _CONFLICTS, output, "")
    if answer.recover_until_time.seconds:
        until = time_text(answer.recover_until_time)
        typer.echo(f"\nUntil {until} an address without a record goes only to who asks for that very address.")


@app.command()
@with_server
def end_recovery(client: Client, yes: Yes = False) -> None:
    """End what a restore began: addresses without a record go to anybody again."""
    confirm("Is it certain that nobody holds an address that the backup did not show?", yes)
    client.end_recovery()
    typer.echo("addresses without a record go to anybody again")


@app.command()
@with_server
def snapshot(
    client: Client,
    file: Annotated[Path, typer.Argument(help="Where to; `etcdctl snapshot restore` reads it.", dir_okay=False)],
    endpoint: Annotated[str, typer.Option(help="The member's, as configured; without it one that does not lead.")] = "",
    yes: Yes = False,
) -> None:
    """Save etcd's own snapshot of one member."""
    if file.exists():
        confirm(f"{file} exists. Replace it?", yes)
    try:
        with progress("snapshot", None, octets=True) as tell:
            size = files.write_whole(file, _snapshot(client, endpoint, tell))
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror}", USAGE)
    typer.echo(f"{printable(str(file))}: {size:,} bytes")


def _snapshot(client: Client, endpoint: str, tell: Tell) -> Iterator[bytes]:
    done = 0
    for piece in client.save_snapshot(endpoint):
        done += len(piece.data)
        tell(done, piece.total_bytes)
        yield piece.data

"""`everlease reservation`: addresses and parameters that are kept for single clients."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from everlease.cli.ask import Yes, confirm
from everlease.cli.complete import subnet_ids
from everlease.cli.connect import REFUSED, USAGE, Output, fail, with_server
from everlease.cli.output import Column, Format, details, plain, printable, show
from everlease.cli.progress import progress
from everlease.cli.reserving import IDENTIFIERS, message_of, name_of, read_rows, row_of
from everlease.cli.values import author, is_address
from everlease.client import Client
from everlease.errors import ConfigError
from everlease.pb.admin.v1.reservation_service_pb2 import Reservation

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Reservations: list, add, remove and import them.")

BATCH: Final = 1000
"""Reservations a call: what the API takes at most."""

MOST_TOLD: Final = 100
"""Refused rows that are told one by one; all are counted."""

Space = Annotated[str, typer.Option(help="Address space.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check, and write nothing.")]


class Source(StrEnum):
    """Values of `--source`."""

    CONFIG = "config"
    API = "api"


def _whom(row: Any) -> str:
    return next((f"{plain(key)(row)}" for key in IDENTIFIERS if row[key]), "")


_COLUMNS = (
    Column("ADDRESS", plain("address")),
    Column("FOR", _whom),
    Column("HOST NAME", plain("hostname"), spare=2, most=16),
    Column("SUBNET", plain("subnet"), right=True, spare=3),
    Column("RELAY", plain("relay"), spare=6),
    Column("SOURCE", plain("source"), spare=1),
    Column("AUTHOR", plain("author"), spare=5),
    Column("DESCRIPTION", plain("description"), spare=4, most=20),
)


@app.command("list")
@with_server
def list_reservations(
    client: Client,
    subnet: Annotated[int, typer.Option(min=0, help="Only this subnet (its id).", autocompletion=subnet_ids)] = 0,
    source: Annotated[Source | None, typer.Option(help="Only those of the document, or of the API.")] = None,
    of: Annotated[str, typer.Option("--client", help="Identifier in hexadecimal, or a host name.")] = "",
    space: Space = "",
    output: Output = Format.TABLE,
) -> None:
    """List reservations: the document's, then those made by hand."""
    wanted = source.value if source else "unspecified"
    found = client.list_reservations(space=space, subnet=subnet, source=wanted, client=of)
    show((row_of(each) for each in found), _COLUMNS, output, "no reservation matches")


@app.command("show")
@with_server
def show_reservation(
    client: Client,
    what: Annotated[str, typer.Argument(metavar="ADDRESS|NAME", help="10.0.0.9, or spaces/.../reservations/...")],
    space: Space = "",
    output: Output = Format.TABLE,
) -> None:
    """Show one reservation in full."""
    details(row_of(_one(client, what, space)), output)


@app.command()
@with_server
def add(
    client: Client,
    address: Annotated[str, typer.Argument(help="What is kept; without it only the rest is.")] = "",
    hw_address: Annotated[str, typer.Option(help="Hardware address, 02:00:00:00:00:01.")] = "",
    client_id: Annotated[str, typer.Option(help="Client identifier (option 61).")] = "",
    circuit_id: Annotated[str, typer.Option(help="Circuit id of option 82.")] = "",
    remote_id: Annotated[str, typer.Option(help="Remote id of option 82.")] = "",
    relay: Annotated[str, typer.Option(help="Relay that must match as well.")] = "",
    hostname: Annotated[str, typer.Option(help="Host name that the client is told.")] = "",
    subnet: Annotated[int, typer.Option(min=0, help="Its id, where the address does not say.")] = 0,
    description: Annotated[str, typer.Option(help="For people.")] = "",
    parameters: Annotated[
        str, typer.Option(metavar="JSON", help='What else it is sent: {"valid-lifetime": "1d"}, as in the document.')
    ] = "",
    space: Space = "",
    dry_run: DryRun = False,
    output: Output = Format.TABLE,
) -> None:
    """Keep an address, or parameters, for one client."""
    given = {
        "address": address, "hw_address": hw_address, "client_id": client_id, "circuit_id": circuit_id,
        "remote_id": remote_id, "relay": relay, "hostname": hostname, "subnet": subnet, "description": description,
        "parameters": parameters, "space": space,
    }  # fmt: skip
    made = client.create_reservation(message_of(given), validate_only=dry_run, author=author())
    if dry_run:
        typer.echo("dry run: nothing was written", err=True)
    details(row_of(made), output)


@app.command()
@with_server
def remove(
    client: Client,
    what: Annotated[
        str, typer.Argument(metavar="[ADDRESS|NAME]", help="10.0.0.9, or spaces/.../reservations/...")
    ] = "",
    file: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="All of a file, as `import` reads and `list` prints it."),
    ] = None,
    subnet: Annotated[
        int, typer.Option(min=0, help="All of this subnet that the API made.", autocompletion=subnet_ids)
    ] = 0,
    space: Space = "",
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Keep one no longer, or many; leases on their addresses stay to their ends."""
    if [bool(what), file is not None, bool(subnet)].count(True) != 1:
        fail("say which: ADDRESS or NAME, --from FILE, or --subnet ID", USAGE)
    if not what:
        _remove_many(client, _named(client, file, subnet, space), dry_run, yes)
        return
    found = _one(client, what, space)
    whom = printable(f"{_whom(row_of(found))} {found.hostname}".strip())
    if not dry_run:
        confirm(f"Remove the reservation of {found.address or 'parameters'} for {whom}?", yes)
    client.delete_reservation(found.name, etag=found.etag, validate_only=dry_run, author=author())
    typer.echo(f"{found.name} {'can be' if dry_run else 'is'} removed")


def _named(client: Client, file: Path | None, subnet: int, space: str) -> list[tuple[str, str]]:
    """(where it stands, name) of what is to be removed; the document's own are left to it."""
    if file is None:
        found = client.list_reservations(space=space, subnet=subnet, source="api")
        return [(f"subnet {subnet}", each.name) for each in found]
    try:
        rows = list(read_rows(file))
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}", USAGE)
    return [(f"{file}:{line}", name_of(row, space)) for line, row in rows if row.get("source") != "config"]


def _remove_many(client: Client, wanted: list[tuple[str, str]], dry_run: bool, yes: bool) -> None:
    if wanted and not dry_run:
        confirm(f"Remove {len(wanted):,} reservations?", yes)
    wrong: list[str] = []
    gone = 0
    with progress("checking" if dry_run else "removing", len(wanted)) as tell:
        for start in range(0, len(wanted), BATCH):
            batch = wanted[start : start + BATCH]
            answer = client.batch_delete_reservations(
                [name for _, name in batch], validate_only=dry_run, author=author()
            )
            gone += answer.deleted_count
            wrong += [f"{batch[each.index][0]}: {each.message}" for each in answer.refused]
            tell(start + len(batch), None)
    _conclude(f"{gone:,} {'can be removed' if dry_run else 'are removed'}", wrong)


@app.command("import")
@with_server
def import_file(
    client: Client,
    file: Annotated[Path, typer.Argument(help="CSV, JSON lines, JSON or YAML, by its suffix.", dir_okay=False)],
    dry_run: DryRun = False,
) -> None:
    """Create many at once, as `list` prints them; what is there already, just so, is no error. Can be run again."""
    wrong: list[str] = []
    try:
        rows = list(_messages(file, wrong))
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}", USAGE)
    created, coming = 0, iter(rows)
    with progress("checking" if dry_run else "creating", len(rows)) as tell:
        done = 0
        while batch := list(islice(coming, BATCH)):
            answer = client.batch_create_reservations(
                [message for _, message in batch], validate_only=dry_run, author=author()
            )
            created, done = created + answer.created_count, done + len(batch)
            wrong += [f"{file}:{batch[each.index][0]}: {each.message}" for each in answer.refused]
            tell(done, None)
    _conclude(f"{created:,} {'can be created' if dry_run else 'are there'}", wrong)


def _conclude(done: str, wrong: list[str]) -> None:
    """What was done, and what is wrong with the rest. Leaves with 1 if something is."""
    for line in wrong[:MOST_TOLD]:
        typer.echo(printable(line), err=True)
    if len(wrong) > MOST_TOLD:
        typer.echo(f"and {len(wrong) - MOST_TOLD:,} more", err=True)
    typer.echo(f"{done}, {len(wrong):,} refused")
    if wrong:
        raise typer.Exit(REFUSED)


def _messages(file: Path, wrong: list[str]) -> Iterator[tuple[int, Reservation]]:
    """(line, reservation); what is wrong with the others joins `wrong`. The document's own are left to it."""
    for line, row in read_rows(file):
        if row.get("source") == "config":
            continue
        try:
            yield line, message_of(row)
        except ConfigError as error:
            wrong.append(f"{file}:{line}: {error}")


def _one(client: Client, what: str, space: str) -> Reservation:
    by = "address" if is_address(what) else "name"
    return client.get_reservation(**{by: what}, space=space)

"""`everlease lease`: who has which address, as etcd holds it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer

from everlease.cli.ask import Yes, confirm
from everlease.cli.complete import subnet_ids
from everlease.cli.connect import USAGE, Output, fail, with_server
from everlease.cli.leasing import export, import_file
from everlease.cli.output import Column, Format, details, plain, printable, say, show, write_next
from everlease.cli.values import (
    duration_text,
    enum_text,
    is_address,
    parse_duration,
    parse_moment,
    seconds_of,
    state_cell,
    time_text,
)  # fmt: skip
from everlease.client import Client
from everlease.pb.admin.v1.lease_service_pb2 import Lease, LeaseEvent, LeaseEventType, LeaseState

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Leases: list, show, add, release and watch them; as files."
)

Space = Annotated[str, typer.Option(help="Address space.")]
SubnetOption = Annotated[
    int, typer.Option("--subnet", min=0, help="Only this subnet (its id).", autocompletion=subnet_ids)
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


class State(StrEnum):
    """Values of `--state`."""

    OFFERED = "offered"
    BOUND = "bound"
    GRACE = "grace"
    EXPIRED = "expired"
    RELEASED = "released"
    DECLINED = "declined"


def row_of(lease: Lease) -> dict[str, Any]:
    """A lease as programs get it."""
    return {
        "address": lease.address,
        "state": enum_text(LeaseState.Name(lease.state), "LEASE_STATE_"),
        "client": lease.client,
        "hardware_address": lease.hardware_address,
        "hostname": lease.hostname,
        "subnet": lease.subnet,
        "granted": time_text(lease.grant_time),
        "expires": time_text(lease.expire_time),
        "valid_lifetime": seconds_of(lease.valid_lifetime),
        "relay": lease.relay,
        "relay_information": lease.relay_information.hex(":"),
        "node": lease.node,
        "config_revision": lease.config_revision,
        "space": lease.space,
        "etag": lease.etag,
    }


COLUMNS = (
    Column("ADDRESS", plain("address")),
    Column("STATE", state_cell),
    Column("HARDWARE", plain("hardware_address")),
    Column("HOST NAME", plain("hostname"), spare=1, most=16),
    Column("SUBNET", plain("subnet"), right=True, spare=3),
    Column("LIFETIME", lambda row: duration_text(row["valid_lifetime"]), right=True, spare=4),
    Column("EXPIRES", plain("expires"), spare=2),
    Column("RELAY", plain("relay"), spare=5),
    Column("NODE", plain("node"), spare=6),
)


@app.command("list")
@with_server
def list_leases(
    client: Client,
    subnet: SubnetOption = 0,
    state: Annotated[State | None, typer.Option(help="Only this state.")] = None,
    of: Annotated[str, typer.Option("--client", help="Hardware address, or client key in hexadecimal.")] = "",
    hostname: Annotated[str, typer.Option(help="Part of the host name.")] = "",
    relay: Annotated[str, typer.Option(help="Relay that the client was heard through.")] = "",
    expires_before: Annotated[
        str, typer.Option(metavar="WHEN", help="2h (from now), or 2026-01-31T12:00Z; grace included.")
    ] = "",
    expires_after: Annotated[str, typer.Option(metavar="WHEN", help="The same.")] = "",
    space: Space = "",
    output: Output = Format.TABLE,
) -> None:
    """List leases in address order, all of one moment."""
    leases = client.list_leases(
        space=space,
        subnet=subnet,
        state=state.value if state else "unspecified",
        client=of,
        hostname=hostname,
        relay=relay,
        expire_before=parse_moment("--expires-before", expires_before),
        expire_after=parse_moment("--expires-after", expires_after),
    )
    show((row_of(lease) for lease in leases), COLUMNS, output, "no lease matches")


@app.command("show")
@with_server
def show_lease(
    client: Client,
    what: Annotated[
        str, typer.Argument(metavar="ADDRESS|CLIENT", help="10.0.0.9, 02:00:00:00:00:01, or a client key.")
    ],
    space: Space = "",
    output: Output = Format.TABLE,
) -> None:
    """Show one lease in full."""
    by = "address" if is_address(what) else "client"
    details(row_of(client.get_lease(space=space, **{by: what})), output)


@app.command()
@with_server
def add(
    client: Client,
    address: Annotated[str, typer.Argument(help="Of a pool, or reserved for this client.")],
    hw_address: Annotated[str, typer.Option(help="The client's hardware address, 02:00:00:00:00:01.")],
    client_id: Annotated[str, typer.Option(help="Its client identifier (option 61), hexadecimal.")] = "",
    lifetime: Annotated[str, typer.Option(help="Like 8h; without it the subnet's.")] = "",
    hostname: Annotated[str, typer.Option(help="Kept with it.")] = "",
    space: Space = "",
    dry_run: DryRun = False,
    output: Output = Format.TABLE,
) -> None:
    """Bind an address to a client, as if it had asked for it."""
    seconds = parse_duration("--lifetime", lifetime) if lifetime else 0
    lease = client.add_lease(
        address,
        hw_address,
        client_id=client_id,
        valid_lifetime=timedelta(seconds=seconds) if seconds else None,
        hostname=hostname,
        space=space,
        validate_only=dry_run,
    )
    _told(dry_run)
    details(row_of(lease), output)


@app.command()
@with_server
def release(
    client: Client,
    address: Annotated[str, typer.Argument(help="Whose binding is taken back.")],
    now: Annotated[
        bool, typer.Option("--now", help="Let others have it at once, although its client may still use it.")
    ] = False,
    space: Space = "",
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Take a binding back; others get the address after its committed end."""
    lease = client.get_lease(address=address, space=space)
    if not dry_run:
        whom = f"{lease.hardware_address or lease.client} {printable(lease.hostname)}".strip()
        risk = ", and let others have it at once? Two clients may use it then." if now else "?"
        confirm(f"Take {address} back from {whom}{risk}", yes)
    answer = client.release_lease(address, now=now, space=space, etag=lease.etag, validate_only=dry_run)
    _told(dry_run)
    typer.echo(f"{address} is {enum_text(LeaseState.Name(answer.lease.state), 'LEASE_STATE_')}")
    if answer.warning:
        typer.echo(f"warning: {answer.warning}", err=True)


@app.command()
@with_server
def clear_declined(
    client: Client,
    address: Annotated[str, typer.Argument(help="One address; or --subnet.")] = "",
    subnet: Annotated[
        int, typer.Option(min=0, help="All declined addresses of this subnet.", autocompletion=subnet_ids)
    ] = 0,
    space: Space = "",
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Make declined addresses usable again, before their probation ends."""
    if bool(address) == bool(subnet):
        fail("name one ADDRESS, or --subnet ID", USAGE)
    scope = address or f"every declined address of subnet {subnet}"
    if not dry_run:
        confirm(f"Make {scope} usable again, although a client found it in use?", yes)
    answer = client.clear_declined(address=address, subnet=subnet, space=space, validate_only=dry_run)
    _told(dry_run)
    more = f" and {answer.cleared_count - len(answer.addresses)} more" * (answer.cleared_count > len(answer.addresses))
    found = f": {' '.join(answer.addresses)}{more}" if answer.addresses else ""
    typer.echo(f"{answer.cleared_count} usable again{found}")
    if answer.skipped_count:
        typer.echo(f"{answer.skipped_count} left alone: they changed meanwhile, or cannot be read", err=True)


@app.command()
@with_server
def watch(
    client: Client,
    from_revision: Annotated[int, typer.Option(min=0, help="First revision to tell of; 0 = from now on.")] = 0,
    snapshot: Annotated[bool, typer.Option("--snapshot", help="All that match first, then the changes.")] = False,
    subnet: SubnetOption = 0,
    of: Annotated[str, typer.Option("--client", help="Hardware address, or client key in hexadecimal.")] = "",
    space: Space = "",
    output: Output = Format.TABLE,
) -> None:
    """Tell every change of every lease as it happens, in order and without a gap, until Ctrl-C."""
    if snapshot and from_revision:
        fail("--snapshot begins now: without --from-revision", USAGE)
    events = client.watch_leases(start_revision=from_revision, snapshot=snapshot, subnet=subnet, client=of, space=space)
    try:
        for number, event in enumerate(events):
            row = event_row(event)
            if output is Format.TABLE:
                say(_line(row))
            else:
                write_next(row, output, first=not number)
    except KeyboardInterrupt:
        return


def event_row(event: LeaseEvent) -> dict[str, Any]:
    """A change as programs get it."""
    kind = enum_text(LeaseEventType.Name(event.type), "LEASE_EVENT_TYPE_")
    return {"revision": event.revision, "event": kind, **row_of(event.lease)}


def _line(row: Mapping[str, Any]) -> str:
    """A change for people: one line."""
    state = "deleted" if row["event"] == "deleted" else row["state"]
    who = " ".join(plain(key)(row) for key in ("hardware_address", "hostname") if row[key])
    until = f" until {row['expires']}" if row["expires"] else ""
    node = f" by {plain('node')(row)}" if row["node"] else ""
    return f"[dim]{row['revision']}[/] {plain('address')(row):<15} {state_cell({'state': state})} {who}{until}{node}"


def _told(dry_run: bool) -> None:
    if dry_run:
        typer.echo("dry run: nothing was done", err=True)


app.command("export")(with_server(export))
app.command("import")(with_server(import_file))

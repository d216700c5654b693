"""`everlease lease`: who has which address, as etcd holds it."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import AddressValueError, IPv4Address
from typing import Annotated, Any

import typer
from rich.markup import escape

from everlease.cli.connect import Output, with_server
from everlease.cli.output import Column, Format, details, plain, show
from everlease.cli.values import STATE_STYLES, duration_text, enum_text, seconds_of, time_text
from everlease.client import Client
from everlease.pb.admin.v1.lease_service_pb2 import Lease, LeaseState

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Leases: list them, show one.")

Space = Annotated[str, typer.Option(help="Address space.")]


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


def _state(row: Any) -> str:
    return f"[{STATE_STYLES.get(row['state'], 'default')}]{escape(row['state'])}[/]"


_COLUMNS = (
    Column("ADDRESS", plain("address")),
    Column("STATE", _state),
    Column("HARDWARE", plain("hardware_address")),
    Column("HOST NAME", plain("hostname")),
    Column("SUBNET", plain("subnet"), right=True),
    Column("LIFETIME", lambda row: duration_text(row["valid_lifetime"]), right=True),
    Column("EXPIRES", plain("expires")),
    Column("RELAY", plain("relay")),
    Column("NODE", plain("node")),
)


@app.command("list")
@with_server
def list_leases(
    client: Client,
    subnet: Annotated[int, typer.Option(min=0, help="Only this subnet (its id).")] = 0,
    state: Annotated[State | None, typer.Option(help="Only this state.")] = None,
    of: Annotated[str, typer.Option("--client", help="Hardware address, or client key in hexadecimal.")] = "",
    space: Space = "",
    output: Output = Format.TABLE,
) -> None:
    """List leases in address order, all of one moment."""
    wanted = state.value if state else "unspecified"
    leases = client.list_leases(space=space, subnet=subnet, state=wanted, client=of)
    show([row_of(lease) for lease in leases], _COLUMNS, output, "no lease matches")


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
    by = "address" if _is_address(what) else "client"
    details(row_of(client.get_lease(space=space, **{by: what})), output)


def _is_address(text: str) -> bool:
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True

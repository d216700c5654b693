"""`everlease subnet`: what is configured, and how full it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.markup import escape

from everlease.cli.connect import Output, with_server
from everlease.cli.output import Column, Format, details, plain, show
from everlease.cli.values import STATE_STYLES, enum_text
from everlease.client import Client
from everlease.pb.admin.v1.subnet_service_pb2 import Subnet, SubnetState

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Subnets: list them, show one, see how full they are."
)

_COUNTS = ("size", "free", "leased", "grace", "offered", "declined", "reserved")
_BAR = 20


def row_of(subnet: Subnet) -> dict[str, Any]:
    """A subnet as programs get it."""
    usage = {name: getattr(subnet.usage, name) for name in _COUNTS}
    return {
        "id": subnet.id,
        "name": subnet.display_name,
        "prefix": subnet.prefix,
        "state": enum_text(SubnetState.Name(subnet.state), "SUBNET_STATE_"),
        **usage,
        "utilisation": round(1 - usage["free"] / usage["size"], 4) if usage["size"] else 0.0,
        "shared_network": subnet.shared_network,
        "link": subnet.link,
        "relays": list(subnet.relays),
        "pools": [f"{pool.first}-{pool.last}" for pool in subnet.pools],
        "allocator": subnet.allocator,
        "description": subnet.description,
        "labels": [f"{key}={value}" for key, value in sorted(subnet.labels.items())],
        "space": subnet.space,
    }


def _bar(row: Mapping[str, Any]) -> str:
    share = row["utilisation"]
    colour = "red" if share >= 0.95 else "yellow" if share >= 0.8 else "green"
    full = round(share * _BAR)
    return f"[{colour}]{'█' * full}[/][dim]{'░' * (_BAR - full)}[/] {share:4.0%}"


def _state(row: Mapping[str, Any]) -> str:
    return f"[{STATE_STYLES.get(row['state'], 'default')}]{escape(row['state'])}[/]"


_COLUMNS = (
    Column("ID", plain("id"), right=True),
    Column("NAME", plain("name")),
    Column("PREFIX", plain("prefix")),
    Column("STATE", _state),
    *(Column(name.upper(), plain(name), right=True) for name in _COUNTS),
    Column("UTILISATION", _bar),
)


@app.command("list")
@with_server
def list_subnets(client: Client, output: Output = Format.TABLE) -> None:
    """List subnets with their usage."""
    rows = [row_of(subnet) for subnet in client.list_subnets()]
    show(rows, _COLUMNS, output, "no subnet is configured")


@app.command("show")
@with_server
def show_subnet(
    client: Client,
    number: Annotated[int, typer.Argument(metavar="ID", min=1, help="The subnet's id.")],
    output: Output = Format.TABLE,
) -> None:
    """Show one subnet in full."""
    details(row_of(client.get_subnet(number)), output)

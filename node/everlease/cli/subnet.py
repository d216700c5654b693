"""`everlease subnet`: what is configured, how full it is, and whom it serves."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from everlease.cli.ask import Yes, confirm
from everlease.cli.changes import Comment, DryRun, tell_change
from everlease.cli.complete import subnet_ids
from everlease.cli.connect import USAGE, Output, fail, with_server
from everlease.cli.follow import Watch, follow
from everlease.cli.output import Column, Format, bar, details, fitting, plain, show, table_of
from everlease.cli.values import author, enum_text, state_cell
from everlease.client import Client
from everlease.pb.admin.v1.subnet_service_pb2 import Subnet, SubnetState

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Subnets: list, show, drain and resume them; how full they are."
)

Number = Annotated[int, typer.Argument(metavar="ID", min=1, help="The subnet's id.", autocompletion=subnet_ids)]
Pool = Annotated[str, typer.Option(help="Only this pool of it: its first address.")]


class State(StrEnum):
    """Values of `--state`."""

    ACTIVE = "active"
    DRAINING = "draining"
    DISABLED = "disabled"


_COUNTS = ("size", "free", "leased", "grace", "offered", "declined", "reserved")


def row_of(subnet: Subnet) -> dict[str, Any]:
    """A subnet as programs get it."""
    usage = {name: getattr(subnet.usage, name) for name in _COUNTS}
    return {
        "id": subnet.id,
        "name": subnet.display_name,
        "prefix": subnet.prefix,
        "state": _state(subnet.state),
        **usage,
        "utilisation": round(1 - usage["free"] / usage["size"], 4) if usage["size"] else 0.0,
        "shared_network": subnet.shared_network,
        "link": subnet.link,
        "relays": list(subnet.relays),
        "pools": [_pool(pool, subnet) for pool in subnet.pools],
        "allocator": subnet.allocator,
        "description": subnet.description,
        "labels": [f"{key}={value}" for key, value in sorted(subnet.labels.items())],
        "space": subnet.space,
        "etag": subnet.etag,
    }


def _state(state: Any) -> str:
    return enum_text(SubnetState.Name(state), "SUBNET_STATE_")


def _pool(pool: Any, subnet: Subnet) -> str:
    """ "10.0.0.9-10.0.0.20", and its state where that is its own."""
    own = f" {_state(pool.state)}" if pool.state and pool.state != subnet.state else ""
    return f"{pool.first}-{pool.last}{own}"


_COLUMNS = (
    Column("ID", plain("id"), right=True),
    Column("NAME", plain("name"), spare=1, most=16),
    Column("PREFIX", plain("prefix")),
    Column("STATE", state_cell),
    *(
        Column(name.upper(), plain(name), right=True, spare=rank)
        for name, rank in zip(_COUNTS, (4, 3, 2, 6, 8, 7, 5), strict=True)
    ),
    Column("UTILISATION", lambda row: bar(row["utilisation"])),
)


@app.command("list")
@with_server
def list_subnets(
    client: Client,
    state: Annotated[State | None, typer.Option(help="Only this state.")] = None,
    link: Annotated[str, typer.Option(help="Only those of this link (its label).")] = "",
    shared_network: Annotated[str, typer.Option(help="Only those of this shared network.")] = "",
    address: Annotated[str, typer.Option(help="Only the one that holds this address.")] = "",
    label: Annotated[list[str] | None, typer.Option(help="Only those with this label: site=bern.")] = None,
    text: Annotated[str, typer.Option(help="Part of the name or the description.")] = "",
    space: Annotated[str, typer.Option(help="Address space.")] = "",
    watch: Watch = False,
    output: Output = Format.TABLE,
) -> None:
    """List subnets with their usage."""
    wanted = _labels(label or ())

    def rows() -> list[dict[str, Any]]:
        found = client.list_subnets(
            space=space,
            state=state.value if state else "unspecified",
            shared_network=shared_network,
            link=link,
            address=address,
            labels=wanted,
            text=text,
        )
        return [row_of(subnet) for subnet in found]

    if watch:
        follow(rows, lambda found: table_of(fitting(_COLUMNS, found), found), output)
    else:
        show(rows(), _COLUMNS, output, "no subnet is configured, or none matches")


@app.command("show")
@with_server
def show_subnet(client: Client, number: Number, output: Output = Format.TABLE) -> None:
    """Show one subnet in full."""
    details(row_of(client.get_subnet(number)), output)


@app.command()
@with_server
def drain(client: Client, number: Number, pool: Pool = "", comment: Comment = "", dry_run: DryRun = False) -> None:
    """Renewals only from now on: nobody new gets an address of it."""
    answer = client.set_subnet_state(
        number, "draining", pool=pool, validate_only=dry_run, comment=comment, author=author()
    )
    tell_change(answer, answer.config_revision, dry_run)


@app.command()
@with_server
def resume(client: Client, number: Number, pool: Pool = "", comment: Comment = "", dry_run: DryRun = False) -> None:
    """Serve it again, new clients too."""
    answer = client.set_subnet_state(
        number, "active", pool=pool, validate_only=dry_run, comment=comment, author=author()
    )
    tell_change(answer, answer.config_revision, dry_run)


@app.command()
@with_server
def disable(
    client: Client,
    number: Number,
    pool: Pool = "",
    comment: Comment = "",
    dry_run: DryRun = False,
    force: Annotated[bool, typer.Option("--force", help="Although leases are live: they cannot be renewed.")] = False,
    yes: Yes = False,
) -> None:
    """Silence from now on, for its present clients too."""
    if not dry_run:
        confirm(f"Answer nobody in {f'pool {pool} of ' * bool(pool)}subnet {number} any more, not even renewals?", yes)
    answer = client.set_subnet_state(
        number, "disabled", pool=pool, validate_only=dry_run, force=force, comment=comment, author=author()
    )
    tell_change(answer, answer.config_revision, dry_run)


def _labels(texts: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            fail(f"--label {text}: write KEY=VALUE", USAGE)
        found[key] = value
    return found

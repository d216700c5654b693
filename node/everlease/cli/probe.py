"""`everlease probe`: which servers answer a client on this link, the rogue ones too."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Annotated, Any

import typer

from everlease.cli.connect import REFUSED, UNREACHABLE, USAGE, Output, fail, with_server
from everlease.cli.output import Column, Format, plain, show
from everlease.cli.values import duration_text
from everlease.client import Client, Refused, Unreachable
from everlease.errors import ConfigError
from everlease.probe import WAIT, Offer, discover
from everlease.wire import options4, v4

app = typer.Typer(add_completion=False)

_COLUMNS = (
    Column("SERVER", plain("server")),
    Column("MEMBER", lambda row: "[bold red]rogue[/]" if row["rogue"] else plain("member")(row) or "unknown"),
    Column("HARDWARE", plain("hardware_address")),
    Column("ANSWER", plain("answer")),
    Column("ADDRESS", plain("address")),
    Column("LIFETIME", lambda row: duration_text(row["lifetime"]), right=True),
    Column("ROUTERS", plain("routers")),
    Column("DNS", plain("name_servers")),
    Column("AFTER", lambda row: f"{row['milliseconds']:.1f} ms", right=True),
)


def row_of(offer: Offer, members: Mapping[str, str] | None) -> dict[str, Any]:
    """An answer as programs get it. members: server identifier -> node; None = nobody could be asked."""
    options, server = offer.packet.options, str(IPv4Address(offer.server))

    def shown(code: int) -> Any:
        return options4.show(code, options[code]) if code in options else []

    return {
        "server": server,
        "member": (members or {}).get(server, ""),
        "rogue": None if members is None else server not in members,
        "source": str(IPv4Address(offer.source)),
        "hardware_address": offer.hardware.hex(":"),
        "relay": str(IPv4Address(offer.packet.giaddr)) if offer.packet.giaddr else "",
        "answer": v4.MESSAGE_NAMES[offer.packet.message_type],
        "address": str(IPv4Address(offer.packet.yiaddr)),
        "lifetime": int.from_bytes(options.get(51, b""), "big"),
        "routers": shown(3),
        "name_servers": shown(6),
        "milliseconds": round(offer.seconds * 1000, 3),
    }


def parse_hardware(text: str) -> bytes | None:
    """ "02:00:00:00:00:01" as octets; None for "". Leaves with 2 for anything else."""
    if not text:
        return None
    try:
        octets = bytes.fromhex(text.replace(":", "").replace("-", ""))
    except ValueError:
        octets = b""
    if len(octets) != 6:
        fail(f"--hw-address {text}: write six octets, 02:00:00:00:00:01", USAGE)
    return octets


def members_of(client: Client) -> dict[str, str] | None:
    """Server identifier -> node, as the cluster says; None, and a line that says so, where it cannot be asked."""
    try:
        nodes = client.get_status().nodes
    except (Unreachable, Refused) as error:
        typer.echo(f"the cluster cannot be asked who its members are, so nobody is called rogue: {error}", err=True)
        return None
    return {identifier: node.node for node in nodes for identifier in node.server_identifiers}


@app.command()
@with_server
def probe(
    client: Client,
    interface: Annotated[str, typer.Option(help="Where to ask.")],
    count: Annotated[int, typer.Option(min=1, max=100, help="How often to ask, a second apart.")] = 1,
    hw_address: Annotated[str, typer.Option(help="Ask as this client; without it as the interface itself.")] = "",
    wait: Annotated[float, typer.Option(min=0.1, max=60, help="Seconds to listen after the last question.")] = WAIT,
    output: Output = Format.TABLE,
) -> None:
    """Send a DISCOVER as a client would, and show every server that answers: 1 if one is no member of the cluster.

    Needs root or CAP_NET_RAW.
    """
    try:
        offers = list(discover(interface, count, parse_hardware(hw_address), wait))
    except ConfigError as error:
        fail(str(error), REFUSED)
    members = members_of(client)
    rows = [row_of(offer, members) for offer in offers]
    show(rows, _COLUMNS, output, f"no DHCP server answered on {interface}")
    if not rows:
        raise typer.Exit(UNREACHABLE)
    if any(row["rogue"] for row in rows):
        raise typer.Exit(REFUSED)

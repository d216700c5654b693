"""`everlease probe`: which servers answer a client on this link, the rogue ones too."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Annotated, Any

import typer

from everlease.cli.connect import REFUSED, UNREACHABLE, USAGE, Output, fail
from everlease.cli.output import Column, Format, plain, show
from everlease.cli.values import duration_text
from everlease.errors import ConfigError
from everlease.probe import WAIT, Offer, discover
from everlease.wire import options4, v4

app = typer.Typer(add_completion=False)

_COLUMNS = (
    Column("SERVER", plain("server")),
    Column("HARDWARE", plain("hardware_address")),
    Column("ANSWER", plain("answer")),
    Column("ADDRESS", plain("address")),
    Column("LIFETIME", lambda row: duration_text(row["lifetime"]), right=True),
    Column("ROUTERS", plain("routers")),
    Column("DNS", plain("name_servers")),
    Column("AFTER", lambda row: f"{row['milliseconds']:.1f} ms", right=True),
)


def row_of(offer: Offer) -> dict[str, Any]:
    """An answer as programs get it."""
    options = offer.packet.options

    def shown(code: int) -> Any:
        return options4.show(code, options[code]) if code in options else []

    return {
        "server": str(IPv4Address(offer.identifier or offer.source)),
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


@app.command()
def probe(
    interface: Annotated[str, typer.Option(help="Where to ask.")],
    count: Annotated[int, typer.Option(min=1, max=100, help="How often to ask, a second apart.")] = 1,
    hw_address: Annotated[str, typer.Option(help="Ask as this client; without it as the interface itself.")] = "",
    wait: Annotated[float, typer.Option(min=0.1, max=60, help="Seconds to listen after the last question.")] = WAIT,
    output: Output = Format.TABLE,
) -> None:
    """Send a DISCOVER as a client would, and show every server that answers. Needs root or CAP_NET_RAW."""
    try:
        rows = [row_of(offer) for offer in discover(interface, count, parse_hardware(hw_address), wait)]
    except ConfigError as error:
        fail(str(error), REFUSED)
    show(rows, _COLUMNS, output, f"no DHCP server answered on {interface}")
    if not rows:
        raise typer.Exit(UNREACHABLE)

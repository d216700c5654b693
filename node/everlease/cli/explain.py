"""`everlease explain`: what a client would get, from whom, and why; nothing is written or sent."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from everlease.cli.connect import USAGE, Output, fail, with_server
from everlease.cli.output import Format, console, details, printable, write
from everlease.cli.values import duration_text, enum_text, seconds_of
from everlease.client import Client
from everlease.errors import WireError
from everlease.pb.admin.v1.explain_service_pb2 import ExplainOutcome, ExplainResponse
from everlease.wire import options4

app = typer.Typer(add_completion=False)


def row_of(answer: ExplainResponse) -> dict[str, Any]:
    """The answer as programs get it."""
    return {
        "outcome": enum_text(ExplainOutcome.Name(answer.outcome), "EXPLAIN_OUTCOME_"),
        "reason": answer.reason,
        "node": answer.node,
        "subnet": answer.subnet,
        "subnet_name": answer.subnet_name,
        "address": answer.address,
        "classes": list(answer.classes),
        "valid_lifetime": seconds_of(answer.valid_lifetime),
        "server_identifier": answer.server_identifier,
        "client": answer.client,
        "options": {f"{each.code} {each.name}".strip(): each.value for each in answer.options},
        "steps": list(answer.steps),
    }


def encode_option(text: str) -> tuple[int, bytes]:
    """ "60=PXEClient", "vendor-class-identifier=PXEClient" or "82=0x0104..." as code and bytes. Raises ConfigError."""
    name, equals, value = text.partition("=")
    option = options4.by_code.get(int(name)) if name.isdigit() else options4.by_name.get(name)
    if not equals or option is None:
        fail(f"--option {text}: write CODE=VALUE or NAME=VALUE, with one of IANA's options", USAGE)
    try:
        return option.code, bytes.fromhex(value[2:]) if value.startswith("0x") else option.kind.encode(value)
    except (WireError, ValueError) as error:
        fail(f"--option {text}: {error}", USAGE)


@app.command()
@with_server
def explain(
    client: Client,
    hw_address: Annotated[str, typer.Option(help="The client's hardware address, 02:00:00:00:00:01.")],
    client_id: Annotated[str, typer.Option(help="Its client identifier (option 61), hexadecimal.")] = "",
    link: Annotated[str, typer.Option(help="Label of the link that it is heard on.")] = "",
    relay: Annotated[str, typer.Option(help="Address of the relay that it is heard through.")] = "",
    option: Annotated[list[str] | None, typer.Option(help="What else it sends: 60=PXEClient; may be repeated.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """What would this client get, from whom, and why? Nothing is written or sent."""
    if link and relay:
        fail("--link and --relay: a client is heard on one of them", USAGE)
    options = dict(encode_option(each) for each in option or ())
    row = row_of(client.explain(hw_address, client_id=client_id, link=link, relay=relay, options=options))
    if output is Format.TABLE:
        _tell(row)
    else:
        write(row, output)


def _tell(row: dict[str, Any]) -> None:
    """What people see: the answer first, then why."""
    options, steps = row.pop("options"), row.pop("steps")
    row["valid_lifetime"] = duration_text(row["valid_lifetime"]) if row["valid_lifetime"] else ""
    details({key: value for key, value in row.items() if value}, Format.TABLE)
    if options:
        typer.echo("\noptions")
        details({f"  {key}": value for key, value in options.items()}, Format.TABLE)
    console().print("\nwhy")
    for number, step in enumerate(steps, 1):
        typer.echo(f"  {number}. {printable(step)}")

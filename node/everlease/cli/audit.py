"""`everlease audit`: who changed what, as it happens. Each node keeps its own records; all that are named are asked."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from everlease.cli.connect import Output, cause_of, with_server
from everlease.cli.output import Format, plain, printable, say, write_next
from everlease.client import Client, Unreachable
from everlease.pb.admin.v1.cluster_service_pb2 import AuditRecord

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def audit() -> None:
    """Who changed what: the record of every change made through the admin API."""


def row_of(record: AuditRecord) -> dict[str, Any]:
    """A record as programs get it."""
    moment = datetime.fromtimestamp(record.record_time.seconds + record.record_time.nanos / 1e9, UTC)
    return {
        "time": moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "node": record.node,
        "number": record.number,
        "caller": record.caller,
        "role": record.role,
        "peer": record.peer,
        "method": record.method,
        "resource": record.resource,
        "before": record.before,
        "after": record.after,
        "revision": record.revision,
    }


@app.command()
@with_server
def watch(
    client: Client,
    past: Annotated[bool, typer.Option("--past", help="Also those that each node still keeps (1,000).")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Tell every change as it happens, until Ctrl-C: of all nodes that --server names."""
    first = True
    with suppress(KeyboardInterrupt):
        for record in client.watch_audits(past=past, missing=_missing):
            _tell(row_of(record), output, first)
            first = False


def _missing(away: Unreachable) -> None:
    """One node; the others go on."""
    words = "; ".join(f"{server}: {cause_of(said)}" for server, said in away.said.items()) or str(away)
    typer.echo(f"everlease: {printable(words)}; it is asked again and again", err=True)


def _tell(row: dict[str, Any], output: Format, first: bool) -> None:
    if output is not Format.TABLE:
        write_next(row, output, first)
        return
    words = {key: plain(key)(row) for key in row}
    method = words["method"].rpartition("/")[2]
    say(
        f"[dim]{words['time']} {words['node']}[/] [bold]{words['caller']}[/] ({words['role']}, {words['peer']}) "
        f"{method} {words['resource']}"
    )
    for sign, key in (("-", "before"), ("+", "after")):
        if words[key]:
            say(f"  {sign} {words[key]}")

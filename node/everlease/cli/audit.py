"""`everlease audit`: who changed what, as it happens. Each node keeps its own records; all that are named are asked."""

from __future__ import annotations

import queue
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from everlease.cli.connect import Output, with_server
from everlease.cli.output import Format, plain, say, write_next
from everlease.client import Client, Compacted, Refused, Unreachable
from everlease.pb.admin.v1.cluster_service_pb2 import AuditRecord

app = typer.Typer(no_args_is_help=True, add_completion=False)

PAUSE: Final = 1.0
"""Seconds before a node that went away is asked again."""

Found = AuditRecord | Exception


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
    found: queue.Queue[Found] = queue.Queue()
    for server in client.servers.names:
        threading.Thread(target=_follow, args=(client.only(server), past, found), daemon=True).start()
    missing, first = len(client.servers.names), True
    with suppress(KeyboardInterrupt):
        while True:
            each = found.get()
            if isinstance(each, Exception):
                missing -= 1
                if not missing or isinstance(each, Refused):
                    raise each
                typer.echo(f"everlease: {each}", err=True)
                continue
            _tell(row_of(each), output, first)
            first = False


def _follow(client: Client, past: bool, found: queue.Queue[Found]) -> None:
    """One node's records, also after it was gone for a while; its numbers begin anew with it, times do not."""
    number, seen = int(past), 0
    begun = False
    while True:
        try:
            for record in client.watch_audit(number):
                begun = True
                if record.record_time.ToNanoseconds() > seen:
                    seen = record.record_time.ToNanoseconds()
                    found.put(record)
        except Compacted as gone:
            number = gone.restart_revision
        except (Unreachable, Refused) as error:
            if not begun:
                found.put(error)
                return
            number = 1
        time.sleep(PAUSE)


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

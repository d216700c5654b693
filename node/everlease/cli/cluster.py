"""`everlease cluster`: who serves, and why somebody does not."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from everlease.cli.connect import Output, with_server
from everlease.cli.output import Column, Format, console, plain, table_of, write
from everlease.cli.values import STATE_STYLES, author, duration_text, enum_text, seconds_of, time_text
from everlease.client import Client, Unreachable
from everlease.pb.admin.v1.cluster_service_pb2 import ClusterStatus, Node, NodeState, StoreMember

app = typer.Typer(no_args_is_help=True, add_completion=False)

_PERIOD = 1.0


def node_row(node: Node) -> dict[str, Any]:
    """A node as programs get it."""
    return {
        "node": node.node,
        "state": enum_text(NodeState.Name(node.state), "NODE_STATE_"),
        "reason": node.reason,
        "eligible": node.eligible,
        "presence_age": seconds_of(node.presence_age),
        "buckets": node.owned_buckets,
        "config_revision": node.config_revision,
        "view_revision": node.view_revision,
        "links": list(node.links),
        "relays": list(node.relays),
        "server_identifiers": list(node.server_identifiers),
        "clock_offset": seconds_of(node.clock_offset),
        "boot_id": node.boot_id,
        "observer": node.observer,
    }


def status_row(status: ClusterStatus) -> dict[str, Any]:
    """The whole answer as programs get it."""
    return {
        "observer": status.observer,
        "time": time_text(status.observe_time),
        "config_revision": status.config_revision,
        "config_error": status.config_error,
        "view_revision": status.view_revision,
        "echo_age": seconds_of(status.echo_age),
        "leases": status.leases,
        "nodes": [node_row(node) for node in status.nodes],
        "members": [member_row(each) for each in status.members],
        "keeper": status.keeper,
        "store_trouble": status.store_trouble,
        "quota_bytes": status.store_quota_bytes,
    }


def member_row(member: StoreMember) -> dict[str, Any]:
    """A member of the store as programs get it."""
    return {
        "endpoint": member.endpoint,
        "up": member.up,
        "latency": seconds_of(member.latency),
        "size_bytes": member.size_bytes,
        "alarms": list(member.alarms),
        "version": member.version,
    }


def _state(row: Mapping[str, Any]) -> str:
    style = STATE_STYLES.get(row["state"], "default") if row["eligible"] else "red"
    return f"[{style}]{escape(row['state'])}[/]{'' if row['eligible'] else ' [red](not eligible)[/]'}"


_NODES = (
    Column("NODE", lambda row: f"{plain('node')(row)}{' [dim](asked)[/]' if row['observer'] else ''}"),
    Column("STATE", _state),
    Column("SEEN", lambda row: f"{row['presence_age']:.1f}s ago", right=True),
    Column("BUCKETS", plain("buckets"), right=True),
    Column("CONFIG", plain("config_revision"), right=True),
    Column("LINKS", plain("links")),
    Column("RELAYS", plain("relays")),
    Column("IDENTIFIERS", plain("server_identifiers")),
    Column("REASON", plain("reason")),
)

_MEMBERS = (
    Column("STORE MEMBER", plain("endpoint")),
    Column("STATE", lambda row: "[green]up[/]" if row["up"] else "[red]down[/]"),
    Column("COMMIT", lambda row: duration_text(row["latency"]) if row["latency"] else "", right=True),
    Column("SIZE", lambda row: f"{row['size_bytes'] / (1 << 20):,.1f} MiB" if row["size_bytes"] else "", right=True),
    Column("VERSION", plain("version")),
    Column("ALARMS", plain("alarms")),
)


def _picture(row: Mapping[str, Any]) -> Group:
    """What people see."""
    head = (
        f"Seen by {row['observer']} at {row['time']}: configuration {row['config_revision'] or 'none'}, "
        f"{row['leases']:,} lease records, view at revision {row['view_revision']} proved {row['echo_age']:.1f}s ago"
    )
    parts: list[Any] = [Text(head), Text()]
    if row["config_error"]:
        parts.insert(1, Text(f"The newest configuration was not loaded: {row['config_error']}", style="red"))
    if row["store_trouble"]:
        parts.insert(1, Text(f"The store: {row['store_trouble']}", style="red"))
    parts += [table_of(_NODES, row["nodes"]), Text(), table_of(_MEMBERS, row["members"])]
    return Group(*parts)


@app.callback()
def cluster() -> None:
    """The cluster: its nodes and its store."""


@app.command()
@with_server
def status(
    client: Client,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Ask again every second until Ctrl-C.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Show the cluster as one node sees it."""
    row = status_row(client.get_status())
    if watch:
        _follow(client, row, output)
    elif output is Format.TABLE:
        console().print(_picture(row))
    else:
        write(row["nodes"] if output is Format.CSV else row, output)


@app.command()
@with_server
def drain(
    client: Client,
    node: Annotated[str, typer.Argument(help="The node's name.")],
    force: Annotated[bool, typer.Option("--force", help="Even if nobody is left to serve.")] = False,
) -> None:
    """Let the others serve a node's clients, until it is resumed; it may be restarted meanwhile."""
    client.drain_node(node, author=author(), force=force)
    console().print(f"{escape(node)} is drained; `everlease cluster resume {escape(node)}` ends it")


@app.command()
@with_server
def resume(client: Client, node: Annotated[str, typer.Argument(help="The node's name.")]) -> None:
    """Let a drained node serve again."""
    client.resume_node(node)
    console().print(f"{escape(node)} serves again")


def _follow(client: Client, row: Mapping[str, Any], output: Format) -> None:
    """Until Ctrl-C; a node that does not answer for a while does not end it."""
    with suppress(KeyboardInterrupt):
        if output is not Format.TABLE:
            while True:
                write(row["nodes"] if output is Format.CSV else row, output)
                time.sleep(_PERIOD)
                row = status_row(client.get_status())
        with Live(_picture(row), console=console(), auto_refresh=False) as live:
            while True:
                time.sleep(_PERIOD)
                row, picture = _again(client, row)
                live.update(picture, refresh=True)


def _again(client: Client, row: Mapping[str, Any]) -> tuple[Mapping[str, Any], Group]:
    """The next picture; the last one, marked as old, when nobody answers."""
    try:
        row = status_row(client.get_status())
    except Unreachable as error:
        return row, Group(Text(f"nobody answers ({error}); last seen:", style="red"), _picture(row))
    return row, _picture(row)

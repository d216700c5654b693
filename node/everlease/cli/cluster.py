"""`everlease cluster`: who serves, and why somebody does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.markup import escape
from rich.text import Text

from everlease.cli.ask import Yes, confirm
from everlease.cli.complete import node_names
from everlease.cli.connect import Output, with_server
from everlease.cli.follow import Watch, follow
from everlease.cli.output import Column, Format, console, fitting, plain, say, show, table_of, write
from everlease.cli.values import (
    STATE_STYLES,
    author,
    duration_text,
    enum_text,
    mebibytes,
    seconds_of,
    time_text,
    values_of,
)  # fmt: skip
from everlease.client import Client
from everlease.pb.admin.v1.cluster_service_pb2 import ClusterStatus, Node, NodeState, StoreMember

app = typer.Typer(no_args_is_help=True, add_completion=False)

Name = Annotated[str, typer.Argument(help="The node's name.", autocompletion=node_names)]


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
        "recover_until": time_text(status.recover_until_time),
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


def _reason(row: Mapping[str, Any]) -> str:
    return "" if row["eligible"] and row["state"] == "serving" else plain("reason")(row)


_NODES = (
    Column("NODE", lambda row: f"{plain('node')(row)}{' [dim](asked)[/]' if row['observer'] else ''}"),
    Column("STATE", _state),
    Column("SEEN", lambda row: f"{row['presence_age']:.1f}s ago", right=True),
    Column("BUCKETS", plain("buckets"), right=True, spare=4),
    Column("CONFIG", plain("config_revision"), right=True, spare=3),
    Column("LINKS", plain("links"), spare=5),
    Column("RELAYS", plain("relays"), spare=6),
    Column("IDENTIFIERS", plain("server_identifiers"), spare=2),
    Column("REASON", _reason),
)

_MEMBERS = (
    Column("STORE MEMBER", plain("endpoint")),
    Column("STATE", lambda row: "[green]up[/]" if row["up"] else "[red]down[/]"),
    Column("COMMIT", lambda row: duration_text(row["latency"]) if row["latency"] else "", right=True),
    Column("SIZE", lambda row: mebibytes(row["size_bytes"]), right=True, spare=2),
    Column("VERSION", plain("version"), spare=1),
    Column("ALARMS", plain("alarms")),
)


def _picture(row: Mapping[str, Any]) -> Group:
    """What people see."""
    leases = f"{row['leases']:,} lease record{'s' * (row['leases'] != 1)}"
    head = (
        f"Seen by {row['observer']} at {row['time']}: configuration {row['config_revision'] or 'none'}, {leases}, "
        f"view at revision {row['view_revision']} proved {row['echo_age']:.1f}s ago"
    )
    parts: list[Any] = [Text(head), Text()]
    if row["config_error"]:
        parts.insert(1, Text(f"The newest configuration was not loaded: {row['config_error']}", style="red"))
    if row["store_trouble"]:
        parts.insert(1, Text(f"The store: {row['store_trouble']}", style="red"))
    if row["recover_until"]:
        words = "an address without a live record goes only to a client that asks for that very address"
        parts.insert(1, Text(f"Recovering until {row['recover_until']}: {words}", style="yellow"))
    for columns, rows in ((_NODES, row["nodes"]), (_MEMBERS, row["members"])):
        parts += [table_of(fitting(columns, rows), rows), Text()]
    del parts[-1]
    return Group(*parts)


@app.callback()
def cluster() -> None:
    """The cluster: its nodes and its store."""


@app.command()
@with_server
def status(client: Client, watch: Watch = False, output: Output = Format.TABLE) -> None:
    """Show the cluster as one node sees it."""

    def values(row: Mapping[str, Any]) -> Any:
        return row["nodes"] if output is Format.CSV else row

    if watch:
        follow(lambda: status_row(client.get_status()), _picture, output, values)
        return
    row = status_row(client.get_status())
    if output is Format.TABLE:
        say(_picture(row))
    elif output is Format.CSV:
        show(row["nodes"], _NODES, output, "no node")
    else:
        write(row, output)


@app.command()
@with_server
def drain(
    client: Client,
    node: Name,
    force: Annotated[bool, typer.Option("--force", help="Even if nobody is left to serve.")] = False,
) -> None:
    """Let the others serve a node's clients, until it is resumed; it may be restarted meanwhile."""
    client.drain_node(node, author=author(), force=force)
    console().print(f"{escape(node)} is drained; `everlease cluster resume {escape(node)}` ends it")


@app.command()
@with_server
def resume(client: Client, node: Name) -> None:
    """Let a drained node serve again."""
    client.resume_node(node)
    console().print(f"{escape(node)} serves again")


def _role(row: Mapping[str, Any]) -> str:
    if not row["version"]:
        return "[red]does not answer[/]"
    return "leader" if row["leader"] else "learner" if row["learner"] else "follower"


_ETCD = (
    Column("ID", plain("id")),
    Column("NAME", plain("name")),
    Column("STATE", _role),
    Column("VERSION", plain("version"), spare=1),
    Column("SIZE", lambda row: mebibytes(row["size_bytes"]), right=True),
    Column("IN USE", lambda row: mebibytes(row["in_use_bytes"]), right=True, spare=2),
    Column("REVISION", plain("revision"), right=True, spare=3),
    Column("CLIENT URLS", plain("client_urls"), spare=4),
    Column("PEER URLS", plain("peer_urls"), spare=5),
)

_ALARMS = (Column("ALARM", plain("alarm")), Column("MEMBER", plain("member")), Column("NAME", plain("member_name")))


@app.command()
@with_server
def members(client: Client, output: Output = Format.TABLE) -> None:
    """List etcd's members, as etcd has them."""
    rows = [values_of(member) for member in client.list_members().members]
    show(rows, _ETCD, output, "etcd names no member")


@app.command()
@with_server
def alarms(
    client: Client,
    disarm: Annotated[str, typer.Option(metavar="MEMBER", help="Take back this member's NOSPACE alarm (its id).")] = "",
    yes: Yes = False,
    output: Output = Format.TABLE,
) -> None:
    """List alarms that etcd's members have raised: with NOSPACE nobody can write; or take one back."""
    if disarm:
        confirm(f"Take back the alarm of member {disarm}? It returns where nothing was freed.", yes)
        client.disarm_alarm(disarm)
    show([values_of(alarm) for alarm in client.list_alarms().alarms], _ALARMS, output, "no alarm is raised")

"""`everlease doctor`: inspects machine, etcd and cluster, and says what to change. Nothing is changed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from everlease.cli.connect import Output, cause_of, with_server
from everlease.cli.output import Column, Format, plain, show
from everlease.client import Client, Unreachable
from everlease.doctor import BAD, OK, WARN, Finding, cluster, machine, store

app = typer.Typer(add_completion=False)

STYLES = {OK: "green", WARN: "yellow", BAD: "red"}
COLUMNS = (
    Column("", lambda row: f"[{STYLES[row['level']]}]{row['level']}[/]"),
    Column("SUBJECT", plain("subject")),
    Column("CHECK", plain("check")),
    Column("SEEN", plain("seen")),
    Column("WHAT TO DO", plain("advice")),
)

_File = Path | None


def _etcd_file(words: str, name: str) -> Any:
    return typer.Option(f"--etcd-{name}", envvar=f"EVERLEASE_ETCD_{name.upper()}", help=words, metavar="FILE")


@app.command()
@with_server
def doctor(
    client: Client,
    interface: Annotated[list[str] | None, typer.Option(help="A link that a node here shall serve; repeat.")] = None,
    etcd: Annotated[str, typer.Option(envvar="EVERLEASE_ETCD", help="URL[,URL...]; without it: the cluster's.")] = "",
    etcd_ca: Annotated[_File, _etcd_file("CA that signed etcd's certificates.", "ca")] = None,
    etcd_cert: Annotated[_File, _etcd_file("Certificate to show to etcd.", "cert")] = None,
    etcd_key: Annotated[_File, _etcd_file("Its key.", "key")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Inspect this machine, etcd and the cluster, and say what to change; exit code 1 if something is bad."""
    found = machine.examine([text.rpartition("=")[2] for text in interface or ()])
    endpoints = [part.strip() for part in etcd.split(",") if part.strip()]
    try:
        status = client.get_status()
    except Unreachable as silent:
        found.append(Finding("cluster", "answers", BAD, "no node answers at --server", cause_of(str(silent))))
    else:
        found += cluster.judge(status)
        endpoints = endpoints or [member.endpoint for member in status.members]
    if endpoints:
        found += asyncio.run(store.examine(endpoints, (etcd_ca, etcd_cert, etcd_key)))
    else:
        found.append(Finding("etcd", "answers", WARN, "was not looked at", "name it: --etcd URL[,URL...]"))
    show([_row(finding) for finding in found], COLUMNS, output, "nothing was found")
    if any(finding.level == BAD for finding in found):
        raise typer.Exit(1)


def _row(finding: Finding) -> dict[str, Any]:
    return {name: getattr(finding, name) for name in ("level", "subject", "check", "seen", "advice")}

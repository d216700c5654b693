"""`everlease node`: run one node until it is told to stop."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from everlease.cli.plain import plainly
from everlease.errors import ConfigError

if TYPE_CHECKING:
    from everlease.config.beside import Early

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Answer(StrEnum):
    """Which packets a node answers."""

    owner = "owner"
    all = "all"


class ReplyTo(StrEnum):
    """Where the reply to a relay goes."""

    giaddr = "giaddr"
    source = "source"


class Level(StrEnum):
    """The least important log lines to write."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


class LogFormat(StrEnum):
    """How log lines look."""

    json = "json"
    console = "console"


class NodeCommand(TyperCommand):
    """`--log-leases` alone means `--log-leases=log`: what typer has no word for. It is parsed without pydantic."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give the bare flag its value."""
        plainly(self, ctx)
        return super().parse_args(ctx, ["--log-leases=log" if each == "--log-leases" else each for each in args])


def _option(words: str, name: str, **more: Any) -> Any:
    return typer.Option(f"--{name}", envvar=f"EVERLEASE_{name.upper().replace('-', '_')}", help=words, **more)


_Files = Path | None


@app.command(cls=NodeCommand)
def node(
    name: Annotated[str, _option("This node's name, unique in the cluster.", "name")],
    etcd: Annotated[list[str], _option("etcd's client URLs; repeat, or separate by commas.", "etcd")],
    interface: Annotated[list[str] | None, _option("[LABEL=]IF: serve this link.", "interface")] = None,
    listen: Annotated[list[str] | None, _option("ADDR[:PORT]: serve relays over UDP.", "listen")] = None,
    answer: Annotated[Answer, _option("all: behind a shared load balancer.", "answer")] = Answer.owner,
    server_identifier: Annotated[str, _option("ADDR, or NODE=ADDR,...: not the link's own.", "server-identifier")] = "",
    reply_to: Annotated[ReplyTo, _option("source: relays behind NAT.", "reply-to")] = ReplyTo.giaddr,
    admin: Annotated[str, _option("ADDR:PORT of the admin API.", "admin")] = "127.0.0.1:9067",
    metrics: Annotated[str, _option("ADDR:PORT of metrics and health.", "metrics")] = "127.0.0.1:9167",
    prefix: Annotated[str, _option("Key prefix in etcd.", "prefix")] = "/everlease",
    etcd_ca: Annotated[_Files, _option("CA that signed etcd's certificates.", "etcd-ca")] = None,
    etcd_cert: Annotated[_Files, _option("Certificate to show to etcd.", "etcd-cert")] = None,
    etcd_key: Annotated[_Files, _option("Its key.", "etcd-key")] = None,
    admin_ca: Annotated[_Files, _option("CA whose clients may use the admin API.", "admin-ca")] = None,
    admin_cert: Annotated[_Files, _option("Certificate of the admin API.", "admin-cert")] = None,
    admin_key: Annotated[_Files, _option("Its key.", "admin-key")] = None,
    admin_roles: Annotated[_Files, _option("Whose certificate and token has which role.", "admin-roles")] = None,
    admin_insecure: Annotated[bool, _option("Admin API without TLS beyond loopback.", "admin-insecure")] = False,
    user: Annotated[str, _option("Run as this user once started, with two capabilities.", "user")] = "",
    config_file: Annotated[_Files, _option("Apply this document once, if etcd has none.", "config-file")] = None,
    snapshots: Annotated[str, _option("DIR for etcd's snapshots; - = a tar stream on stdout.", "snapshots")] = "",
    snapshot_every: Annotated[str, _option("How often one is taken, like 1h.", "snapshot-every")] = "1h",
    snapshot_keep: Annotated[int, _option("How many stay in DIR.", "snapshot-keep")] = 24,
    log_level: Annotated[Level, _option("The least important lines to write.", "log-level")] = Level.info,
    log_format: Annotated[LogFormat | None, _option("Without it: console on a terminal.", "log-format")] = None,
    log_leases: Annotated[str, _option("A line for each binding: log, stdout, syslog, /FILE.", "log-leases")] = "",
    rogue_probe: Annotated[float, _option("Seconds between looks for servers that are no members.", "rogue-probe")] = 0,
    log_privacy: Annotated[bool, _option("Pseudonyms for clients in all lines above debug.", "log-privacy")] = False,
) -> None:
    """Serve DHCP until SIGTERM: answer clients on links and relays, decide every binding in etcd."""
    # gRPC would guard every fork, with a line on standard error; the process that compiles documents never uses it.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    # And it would write, in a form of its own, what it also returns as an error.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    early = _early() if not user else None  # who gives up rights leaves nobody behind who has them
    from everlease import node as composition  # noqa: PLC0415  (gRPC and all: only when a node is to run)
    from everlease import settings as flags  # noqa: PLC0415

    try:
        settings = flags.Settings(
            name=name,
            etcd=_listed(etcd),
            links=tuple(flags.read_interface(text) for text in _listed(interface)),
            listens=tuple(flags.read_listen(text) for text in _listed(listen)),
            answer_all=answer is Answer.all,
            server_identifier=flags.read_identifier(name, server_identifier),
            reply_to_source=reply_to is ReplyTo.source,
            admin=admin,
            metrics=metrics,
            prefix=prefix,
            etcd_tls=(etcd_ca, etcd_cert, etcd_key),
            admin_tls=(admin_ca, admin_cert, admin_key),
            admin_roles=admin_roles,
            admin_insecure=admin_insecure,
            user=user,
            config_file=config_file,
            snapshots=flags.read_schedule(snapshots, snapshot_every, snapshot_keep),
            log_level=log_level.value,
            log_leases=flags.read_ledger(log_leases),
            log_format=log_format.value if log_format else "",
            log_privacy=log_privacy,
            rogue_probe=rogue_probe,
        )
    except ConfigError as wrong:
        sys.stderr.write(f"everlease node: {wrong}\n")
        raise typer.Exit(2) from wrong
    raise typer.Exit(composition.run(settings, early))


def _early() -> Early | None:
    """What compiles the first document loads its libraries while this process loads the others."""
    from everlease.config import beside  # noqa: PLC0415  (asyncio: only when a node is to run)

    with suppress(OSError):  # the node starts another one, and tells
        return beside.started("everlease.config.worker")
    return None


def _listed(texts: list[str] | None) -> tuple[str, ...]:
    return tuple(part.strip() for text in texts or () for part in text.split(",") if part.strip())

"""The flags of `everlease node`: what each may be, and what they may not be together.

The law of this file: what is wrong with a flag is one clear line that names it, before anything is opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path
from typing import Final

from everlease.admin.access import is_loopback
from everlease.config.values import number_with_unit, size
from everlease.errors import ConfigError
from everlease.health import split_address
from everlease.logs.sinks import LOG, FilePlace, Place, StdoutPlace, SyslogPlace
from everlease.probe.patrol import SHORTEST
from everlease.runtime.keeper import Schedule
from everlease.runtime.service import SERVER_PORT, Served
from everlease.store.channel import target_of

Ledgers = Place | str | None
"""Where lines for bindings go: None = nowhere, LOG = into the node's own log."""

Files = tuple[Path | None, Path | None, Path | None]
"""(CA, certificate, key), PEM."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The flags of `everlease node`. listens: (address, port); server_identifier: 0 = the link's own address."""

    name: str
    etcd: tuple[str, ...]
    links: tuple[Served, ...] = ()
    listens: tuple[tuple[int, int], ...] = ()
    answer_all: bool = False
    server_identifier: int = 0
    reply_to_source: bool = False
    admin: str = ""
    metrics: str = ""
    prefix: str = "/everlease"
    etcd_tls: Files = (None, None, None)
    admin_tls: Files = (None, None, None)
    admin_roles: Path | None = None
    admin_insecure: bool = False
    user: str = ""
    config_file: Path | None = None
    snapshots: Schedule | None = None
    log_level: str = "info"
    log_leases: Ledgers = None
    log_format: str = ""
    log_privacy: bool = False
    rogue_probe: float = 0.0

    def __post_init__(self) -> None:
        if not self.etcd:
            raise ConfigError("--etcd: name at least one endpoint")
        if not self.links and not self.listens:
            raise ConfigError("nothing to serve: give --interface, --listen, or both")
        for flag, (_ca, cert, key) in (("etcd", self.etcd_tls), ("admin", self.admin_tls)):
            if (cert is None) != (key is None):
                raise ConfigError(f"--{flag}-cert and --{flag}-key: give both, or neither")
        if self.admin_tls[0] is not None and self.admin_tls[1] is None:
            raise ConfigError("--admin-ca needs --admin-cert and --admin-key: without TLS nobody shows a certificate")
        if not all(secure for _, secure in map(target_of, self.etcd)) and any(self.etcd_tls):
            raise ConfigError("--etcd-ca, --etcd-cert and --etcd-key need endpoints that begin with https://")
        for flag, address in (("--admin", self.admin), ("--metrics", self.metrics)):
            read_server(flag, address)
        self._refuse_open_door()
        if self.rogue_probe and not self.links:
            raise ConfigError("--rogue-probe asks on links: give --interface")
        if 0 < self.rogue_probe < SHORTEST or self.rogue_probe < 0:
            raise ConfigError(f"--rogue-probe: {SHORTEST:.0f} seconds at least, or 0 = never")
        _refuse_twice("--interface", [served.interface for served in self.links])
        _refuse_twice("--listen", [f"{IPv4Address(address)}:{port}" for address, port in self.listens])
        if not self.prefix.strip("/"):
            raise ConfigError("--prefix: not empty, for what lies beside it in etcd is not ours")
        if not self.name or not set(self.name) <= _NAME:
            raise ConfigError(f"--name {self.name!r}: letters, digits, '.', '_' and '-' only")

    def _refuse_open_door(self) -> None:
        """Whoever can reach an admin port without TLS, or without credentials to show there, owns the cluster."""
        if not self.admin or self.admin_insecure or is_loopback(self.admin):
            return
        ca, cert, _ = self.admin_tls
        if cert is None:
            lacks, give = "has no TLS", "--admin-cert, --admin-key, and --admin-ca or --admin-roles"
        elif ca is None and self.admin_roles is None:
            lacks, give = "asks nobody for credentials", "--admin-ca or --admin-roles"
        else:
            return
        raise ConfigError(f"--admin {self.admin} is not loopback and {lacks}: give {give}, or say --admin-insecure")


_NAME: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


def read_interface(text: str) -> Served:
    """`[LABEL=]IF`. Raises ConfigError."""
    label, equals, name = text.rpartition("=")
    if not name or (equals and not label):
        raise ConfigError(f"--interface {text}: write IF or LABEL=IF")
    return Served(label, name)


def read_listen(text: str) -> tuple[int, int]:
    """`ADDR[:PORT]`; port 67 by default. Raises ConfigError."""
    host, colon, port = text.partition(":")
    if colon and not (port.isdigit() and 0 < int(port) < 65536):
        raise ConfigError(f"--listen {text}: write ADDR or ADDR:PORT")
    return read_address("--listen", host), int(port) if colon else SERVER_PORT


def read_identifier(name: str, text: str) -> int:
    """`ADDR`, or `NODE=ADDR,...` with one for the node `name`: the same flags for all of them; "" is 0. ConfigError."""
    flag = "--server-identifier"
    if "=" not in text:
        return read_address(flag, text)
    told = {node: address for node, _, address in (each.strip().rpartition("=") for each in text.split(","))}
    if not told.get(name):
        raise ConfigError(f"{flag} {text}: has no address for the node {name}")
    return read_address(flag, told[name])


def read_schedule(place: str, every: str, keep: int) -> Schedule | None:
    """`--snapshots`, `--snapshot-every`, `--snapshot-keep`; None = none are taken. Raises ConfigError."""
    try:
        return Schedule(place, number_with_unit(every), keep) if place else None
    except ValueError as bad:
        raise ConfigError(f"--snapshot-every: {bad}") from bad


def read_ledger(text: str) -> Ledgers:
    """`--log-leases[=WHERE]`: log, stdout, syslog[:/PATH|:HOST[:PORT]], or a file's path. Raises ConfigError.

    A file may say how it rotates: PATH?size=64MB&every=1d&keep=14.
    """
    kind, _, rest = text.partition(":")
    if text.lower() in _OFF:
        return None
    if text.lower() in _ON:
        return LOG
    if text in ("stdout", "-"):
        return StdoutPlace()
    if kind == "syslog":
        return _read_syslog(rest)
    if text.startswith(("/", "./", "file:")):
        return _read_file(text.removeprefix("file:"))
    raise ConfigError(f"--log-leases={text}: write log, stdout, syslog, syslog:HOST:PORT, or a file's path")


_OFF: Final = ("", "0", "false", "no", "off")
_ON: Final = ("log", "1", "true", "yes", "on")


def _read_syslog(where: str) -> SyslogPlace:
    if not where or where.startswith("/"):
        return SyslogPlace(path=where or SyslogPlace().path)
    host, port = split_address(where if ":" in where else f"{where}:{SyslogPlace().port}")
    return SyslogPlace(path="", host=host, port=port)


def _read_file(text: str) -> FilePlace:
    path, _, query = text.partition("?")
    told = dict(each.partition("=")[::2] for each in query.split("&") if each)
    default = FilePlace(Path(path))
    try:
        place = FilePlace(
            default.path,
            size(told.pop("size", default.size)),
            number_with_unit(told.pop("every", default.every)),
            int(told.pop("keep", default.keep)),
        )
    except ValueError as bad:
        raise ConfigError(f"--log-leases={text}: {bad}") from bad
    if told or not path or not 0 <= place.keep <= MOST_KEPT or place.size < 1 or place.every <= 0:
        raise ConfigError(f"--log-leases={text}: PATH?size=64MB&every=1d&keep=14, with at most {MOST_KEPT} kept")
    return place


MOST_KEPT: Final = 1000


def read_server(flag: str, text: str) -> None:
    """Check `HOST:PORT` of a server of ours; "" = none. Raises ConfigError."""
    try:
        split_address(text or "localhost:0")
    except ConfigError as bad:
        raise ConfigError(f"{flag} {bad}") from bad


def _refuse_twice(flag: str, values: list[str]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise ConfigError(f"{flag} {value}: given twice; every packet would be handled twice")


def read_address(flag: str, text: str) -> int:
    """An IPv4 address; "" is 0. Raises ConfigError."""
    try:
        return int(IPv4Address(text)) if text else 0
    except AddressValueError as bad:
        raise ConfigError(f"{flag} {text}: not an IPv4 address") from bad

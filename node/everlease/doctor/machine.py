"""This machine: may a node open its sockets here, is its clock kept, are its links there.

Law: nothing is left open, and nobody is answered.
"""

from __future__ import annotations

import ctypes
import errno
import socket
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from everlease.doctor.findings import BAD, OK, WARN, Finding
from everlease.errors import ConfigError
from everlease.runtime.interfaces import InterfaceInfo, describe
from everlease.runtime.privileges import NET_BIND_SERVICE, NET_RAW
from everlease.store.records import dotted

SUBJECT: Final = "machine"
SERVER_PORT: Final = 67

_NEEDED: Final = {"CAP_NET_RAW": NET_RAW, "CAP_NET_BIND_SERVICE": NET_BIND_SERVICE}
_TIME_ERROR: Final = 5
"""adjtimex(2): the clock is not synchronised."""


def examine(interfaces: Sequence[str]) -> list[Finding]:
    """Everything about this machine. interfaces: those that a node here shall serve."""
    return [
        judge_capabilities(effective_capabilities()),
        judge_port(port_taken(SERVER_PORT)),
        judge_clock(synchronised()),
        *(judge_interface(name, look_at(name)) for name in interfaces),
    ]


# --- looking ----------------------------------------------------------------------------------------------------------


def effective_capabilities() -> int:
    """This process's, as a mask (capabilities(7))."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("CapEff:")).split()[1], 16)


def port_taken(port: int) -> bool | None:
    """Whether somebody has the UDP port on all addresses; None = we may not ask."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        try:
            sock.bind(("0.0.0.0", port))
        except OSError as error:
            return True if error.errno == errno.EADDRINUSE else None
    return False


def synchronised() -> bool | None:
    """Whether the kernel's clock is kept by somebody; None = it does not say."""
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(256))
    return None if state < 0 else state != _TIME_ERROR


def look_at(name: str) -> InterfaceInfo | None:
    """What the kernel says of an interface; None = there is none."""
    try:
        return describe(name)
    except ConfigError:
        return None


# --- judging ----------------------------------------------------------------------------------------------------------


def judge_capabilities(mask: int) -> Finding:
    """Raw sockets and port 67."""
    missing = [name for name, number in _NEEDED.items() if not mask >> number & 1]
    if missing:
        advice = (
            "start the node as root or with these as ambient capabilities; a relay's server on another port needs none"
        )
        return Finding(SUBJECT, "capabilities", WARN, f"without {' and '.join(missing)}", advice)
    return Finding(SUBJECT, "capabilities", OK, "raw sockets and port 67 may be opened")


def judge_port(taken: bool | None) -> Finding:
    """Another server on port 67."""
    if taken is None:
        return Finding(SUBJECT, "port 67", WARN, "cannot be tried", "run the doctor as root")
    if taken:
        advice = "`ss -lunp sport = :67` tells by whom; fine if that is Everlease"
        return Finding(SUBJECT, "port 67", WARN, "is taken", advice)
    return Finding(SUBJECT, "port 67", OK, "is free")


def judge_clock(kept: bool | None) -> Finding:
    """NTP."""
    if kept:
        return Finding(SUBJECT, "clock", OK, "is synchronised")
    seen = "the kernel does not say whether it is synchronised" if kept is None else "is not synchronised"
    advice = "run chrony or ntpd: a node whose clock is off by half the clock-margin does not grant"
    return Finding(SUBJECT, "clock", WARN, seen, advice)


def judge_interface(name: str, info: InterfaceInfo | None) -> Finding:
    """A link that a node here shall serve."""
    check = f"interface {name}"
    if info is None:
        return Finding(SUBJECT, check, BAD, "is not there", "`ip -br link` tells what is")
    if not info.carrier:
        return Finding(SUBJECT, check, BAD, "is down or has no carrier", f"ip link set {name} up; look at the cable")
    if not info.addresses:
        advice = "give it one: clients renew by unicast to it, and a subnet without a label is found by it"
        return Finding(SUBJECT, check, BAD, "has no IPv4 address", advice)
    return Finding(SUBJECT, check, OK, f"up, {_listed(info.addresses)}")


def _listed(addresses: Iterable[tuple[int, int]]) -> str:
    return ", ".join(f"{dotted(address)}/{length}" for address, length in addresses)

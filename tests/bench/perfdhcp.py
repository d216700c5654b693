"""perfdhcp: its command line for one step of load, and its report.

A step is `rate` new clients per second for `seconds`, each doing DISCOVER, OFFER, REQUEST, ACK through a relay:
perfdhcp is the relay, its own address giaddr. No client appears twice in a run, so each exchange is a new lease.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields

_SECTION = re.compile(r"\*\*\*Statistics for: (DISCOVER-OFFER|REQUEST-ACK)\*\*\*\n(.*?)(?=\n\*\*\*|\Z)", re.DOTALL)
_FIELD = re.compile(r"^([a-z ]+?): +([-\d.]+)", re.MULTILINE)
_TAIL_US = 1_000_000  # after the last DISCOVER: the time that perfdhcp itself allows a reply (-d, 1 s)


class ReportError(Exception):
    """perfdhcp printed something else than a report; the text says what."""


@dataclass(frozen=True)
class Report:
    """One step as perfdhcp saw it. Counts of packets; `twice` are addresses given to two clients."""

    discovers: int
    offers: int
    requests: int
    acks: int
    refused: int
    twice: int

    @property
    def lost(self) -> float:
        """The share of exchanges that were begun and never ended in an ACK, 0 to 1."""
        return 1 - self.acks / self.discovers if self.discovers else 1.0


def parse(text: str) -> Report:
    """Read what `perfdhcp -4 -r` printed at its end; ReportError if it did not get that far."""
    sections = {name: dict(_FIELD.findall(body)) for name, body in _SECTION.findall(text)}
    try:
        first, second = sections["DISCOVER-OFFER"], sections["REQUEST-ACK"]
        return Report(
            discovers=int(first["sent packets"]),
            offers=int(first["received packets"]),
            requests=int(second["sent packets"]),
            acks=int(second["received packets"]),
            refused=int(first["rejected leases"]) + int(second["rejected leases"]),
            twice=int(first["non unique addresses"]) + int(second["non unique addresses"]),
        )
    except KeyError as absent:
        raise ReportError(f"no report from perfdhcp ({absent}):\n{text.strip()[-600:]}") from absent


def total(reports: Iterable[Report]) -> Report:
    """Several load clients of one step as one."""
    rows = list(reports)
    return Report(*(sum(getattr(row, field.name) for row in rows) for field in fields(Report)))


@dataclass(frozen=True)
class Step:
    """`number` makes the clients of a step different from those of all others (1 to 255); `rate` is new clients per
    second, `renewals` how many of those that were bound renew, per second.
    """

    number: int
    rate: int
    seconds: int
    renewals: int = 0


def command(step: Step, relay: str, server: str, loader: int) -> list[str]:
    """The command line for one load client; `loader` (0 to 255) keeps its clients apart from another loader's."""
    clients = step.rate * step.seconds * 11 // 10 + 100
    hardware = f"02:{loader:02x}:{step.number:02x}:00:00:00"
    renewing = ["-f", str(step.renewals)] if step.renewals else []
    load = ["-r", str(step.rate), "-p", str(step.seconds), "-R", str(clients), "-b", f"mac={hardware}"]
    return ["perfdhcp", "-4", *load, *renewing, "-u", "-W", str(_TAIL_US), "-l", relay, server]

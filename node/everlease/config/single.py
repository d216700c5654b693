"""One reservation by itself, read by the rules of the document and checked against a configuration in force.

The law of this file: whatever may stand in the document's `reservations` means the same here, and nothing else may.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from everlease.config.levels import Compiler
from everlease.config.options import OptionTable
from everlease.config.problems import Path, Report, path_text
from everlease.config.reservations import Place, Taken, compile_reservations
from everlease.config.subnets import span_of
from everlease.config.validate import validate
from everlease.config.values import show
from everlease.core.model import Config, Reservation, Subnet
from everlease.errors import ConfigError

_HERE: Final[Path] = ("subnets", 0, "reservations", 0)


class BadReservation(ConfigError):
    """What is wrong with it: (key, what to do about it) for each finding; key "" = all of it."""

    def __init__(self, findings: list[tuple[str, str]]) -> None:
        self.findings = findings
        super().__init__("; ".join(f"{key}: {words}" if key else words for key, words in findings))


class Single:
    """Compiles reservations for one configuration."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._options = OptionTable.of(config.option_names, config.option_types)

    def compile(self, written: Mapping[str, Any], subnet: Subnet) -> Reservation:
        """A mapping with the document's keys as a reservation in `subnet`. Raises BadReservation."""
        prefix = f"{show(subnet.prefix)}/{subnet.length}"
        validated = validate({"subnets": [{"id": subnet.id, "prefix": prefix, "reservations": [written]}]})
        if validated.findings:
            raise BadReservation([(_key(each.path), each.message) for each in validated.findings])
        report = Report()
        listed = validated.document.subnets[0].reservations
        kept = compile_reservations(
            listed, _HERE[:-1], self._place(subnet, prefix), Compiler(self._options, report), Taken()
        )
        if report.findings:
            raise BadReservation([(_key(each.path), each.message) for each in report.findings])
        return next(iter(kept.by_key.values()))

    def _place(self, subnet: Subnet, prefix: str) -> Place:
        network = self.config.network_of[subnet.id]
        span = span_of((subnet.prefix, subnet.length))
        return Place(
            subnet=subnet.id,
            space=subnet.space,
            network=network.name or f"/{subnet.id}",
            span=span,
            unusable=frozenset(span) if subnet.length <= 30 else frozenset(),
            prefix=prefix,
            above=(subnet.parameters, network.parameters, self.config.parameters),
        )


def _key(path: Path) -> str:
    return path_text(path[len(_HERE) :]) if path[: len(_HERE)] == _HERE else ""

"""One reservation by itself, read by the rules of the document and checked against the subnet that it is for.

The law of this file: whatever may stand in the document's `reservations` means the same here, and nothing else may.
It runs in a process of its own (`config.clerk`).
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping
from typing import Final

from everlease.config.clerk import ANSWERS, BadReservation, Home, Written
from everlease.config.frames import LENGTH, dump, load
from everlease.config.levels import Compiler
from everlease.config.options import OptionTable
from everlease.config.problems import Path, Report, path_text
from everlease.config.reservations import Place, Taken, compile_reservations
from everlease.config.subnets import span_of
from everlease.config.validate import validate
from everlease.config.values import show
from everlease.core.model import Reservation

_HERE: Final[Path] = ("subnets", 0, "reservations", 0)


class Single:
    """Compiles reservations by the options of one configuration: `Config.option_names`, `Config.option_types`."""

    def __init__(self, names: Mapping[int, str], types: Mapping[int, str]) -> None:
        self._options = OptionTable.of(names, types)

    def compile(self, written: Written, home: Home) -> Reservation:
        """A mapping with the document's keys as a reservation in its subnet. Raises BadReservation."""
        prefix = f"{show(home.prefix)}/{home.length}"
        validated = validate({"subnets": [{"id": home.subnet, "prefix": prefix, "reservations": [written]}]})
        if validated.findings:
            raise BadReservation([(_key(each.path), each.message) for each in validated.findings])
        report = Report()
        listed = validated.document.subnets[0].reservations
        kept = compile_reservations(listed, _HERE[:-1], _place(home, prefix), Compiler(self._options, report), Taken())
        if report.findings:
            raise BadReservation([(_key(each.path), each.message) for each in report.findings])
        return next(iter(kept.by_key.values()))


def _place(home: Home, prefix: str) -> Place:
    span = span_of((home.prefix, home.length))
    return Place(
        subnet=home.subnet,
        space=home.space,
        network=home.network,
        span=span,
        unusable=frozenset(span) if home.length <= 30 else frozenset(),
        prefix=prefix,
        above=home.above,
    )


def _key(path: Path) -> str:
    return path_text(path[len(_HERE) :]) if path[: len(_HERE)] == _HERE else ""


def main() -> None:
    """`python -m everlease.config.single`: frames of jobs on standard input, of answers on standard output."""
    gc.freeze()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while head := source.read(LENGTH.size):
        _, (names, types, jobs) = load(source.read(*LENGTH.unpack(head)))
        single = Single(names, types)
        sink.write(dump(ANSWERS, [_answer(single, written, home) for written, home in jobs]))
        sink.flush()


def _answer(single: Single, written: Written, home: Home) -> Reservation | list[tuple[str, str]]:
    try:
        return single.compile(written, home)
    except BadReservation as bad:
        return bad.findings


if __name__ == "__main__":
    main()

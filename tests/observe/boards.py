"""The delivered dashboards as the tests read them: what they ask, with a reader's choices put in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from checkout import ROOT

FOLDER = ROOT / "deploy" / "grafana"
NAMES = ("cluster", "pools", "store", "node")
CHOICES = {"$__rate_interval": "4s", "$job": "everlease", "$instance": ".*", "$subnet": ".*", "$operation": ".*"}
"""What Grafana puts in; the rate interval is four times that between two scrapes, and at least the drill's."""


def board(name: str) -> dict[str, Any]:
    """A dashboard's JSON."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def panels(name: str) -> list[dict[str, Any]]:
    """Its panels, without the headings."""
    return [panel for panel in board(name)["panels"] if panel["type"] != "row"]


@dataclass(frozen=True)
class Asked:
    """One query: where it stands ("store: Hedges"), as Grafana sends it, and what else `chosen` made of it."""

    place: str
    expr: str

    @property
    def chosen(self) -> str:
        """With the reader's choices in it."""
        text = self.expr
        for name, value in CHOICES.items():
            text = text.replace(name, value)
        return text


def asked() -> Iterator[Asked]:
    """Every query of every panel."""
    for name in NAMES:
        for panel in panels(name):
            for target in panel["targets"]:
                yield Asked(f"{name}: {panel['title']}", target["expr"])


def marked() -> Iterator[Asked]:
    """Every annotation's query."""
    for name in NAMES:
        for mark in board(name)["annotations"]["list"]:
            yield Asked(f"{name}: mark {mark['name']}", mark["expr"])


def variables() -> Iterator[Asked]:
    """The queries of variables, as the series whose label is asked for."""
    for name in NAMES:
        for variable in board(name)["templating"]["list"]:
            if variable["type"] == "query":
                series, _, label = (
                    variable["definition"].removeprefix("label_values(").removesuffix(")").rpartition(", ")
                )
                yield Asked(f"{name}: variable {variable['name']}", f"group by ({label}) ({series})")

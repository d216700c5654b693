"""Grafana's panels and dashboards as plain values, from few words.

The law of this file: every panel has a title, a description and a unit, asks the data source that the reader chose, and
asks only for the cluster (`job`) that the reader chose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
SCHEMA_VERSION: Final = 39
"""Grafana 10.4 and newer read it."""

WIDTH: Final = 24
"""Columns of Grafana's grid."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Query:
    """PromQL, and what a series is called; `{{label}}` stands for a label's value."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """kind: timeseries | stat | bargauge | heatmap | state-timeline; unit: Grafana's id ("s", "percentunit", "short").

    columns, rows: of the grid; stacked: areas one on the other; base: the colour of small values, limits: (colour, from
    this value on) after it; most: upper end of the axis.
    """

    kind: str
    title: str
    description: str
    unit: str
    queries: Sequence[Query]
    columns: int = 12
    rows: int = 8
    stacked: bool = False
    base: str = "green"
    limits: Sequence[tuple[str, float]] = ()
    most: float | None = None


@dataclass(frozen=True)
class Row:
    """A heading with its panels, laid out from left to right."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Variable:
    """Chosen by the reader from the values of a label. many: several at once, all to begin with."""

    name: str
    label: str
    query: str
    many: bool = False


@dataclass(frozen=True)
class Mark:
    """An annotation: a line across all panels wherever the query has a value. words: its text, `{{label}}` as above."""

    name: str
    expr: str
    words: str
    colour: str


@dataclass(frozen=True)
class Dashboard:
    """One of them. uid: for links; the variable `job` (which cluster) is always there."""

    uid: str
    title: str
    description: str
    rows: Sequence[Row]
    variables: Sequence[Variable] = ()
    marks: Sequence[Mark] = field(default_factory=tuple)

    def json(self) -> Json:
        """As Grafana imports it."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["everlease", "dhcp"],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "time": {"from": "now-3h", "to": "now"},
            "refresh": "30s",
            "templating": {"list": [_SOURCE_VARIABLE, *(_variable(each) for each in (JOB, *self.variables))]},
            "annotations": {"list": [_mark(each) for each in self.marks]},
            "links": [_LINK],
            "panels": _panels(self.rows),
        }


JOB: Final = Variable("job", "Cluster", "label_values(everlease_build_info, job)")
_SOURCE_VARIABLE: Final = {
    "type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "hide": 0,
}  # fmt: skip
_LINK: Final = {
    "type": "dashboards", "title": "Everlease", "tags": ["everlease"], "asDropdown": True, "includeVars": True,
    "keepTime": True,
}  # fmt: skip


def _variable(variable: Variable) -> Json:
    every = {"includeAll": True, "multi": True, "allValue": ".*"} if variable.many else {"includeAll": False}
    return {
        "type": "query",
        "name": variable.name,
        "label": variable.label,
        "datasource": SOURCE,
        "query": {"query": variable.query, "refId": variable.name},
        "definition": variable.query,
        "refresh": 2,
        "sort": 3,
        "hide": 0,
        **every,
    }


def _mark(mark: Mark) -> Json:
    return {
        "name": mark.name,
        "datasource": SOURCE,
        "enable": True,
        "iconColor": mark.colour,
        "expr": mark.expr,
        "titleFormat": mark.name,
        "textFormat": mark.words,
        "useValueForTime": False,
    }


def _panels(rows: Sequence[Row]) -> list[Json]:
    found: list[Json] = []
    top = 0
    for row in rows:
        place = {"h": 1, "w": WIDTH, "x": 0, "y": top}
        found.append({"id": len(found) + 1, "type": "row", "title": row.title, "gridPos": place, "collapsed": False})
        top, left, height = top + 1, 0, 0
        for panel in row.panels:
            if left + panel.columns > WIDTH:
                top, left, height = top + height, 0, 0
            place = {"h": panel.rows, "w": panel.columns, "x": left, "y": top}
            found.append({"id": len(found) + 1, "gridPos": place, **_panel(panel)})
            left, height = left + panel.columns, max(height, panel.rows)
        top += height
    return found


def _panel(panel: Panel) -> Json:
    steps: list[Json] = [{"color": panel.base, "value": None}]
    steps += [{"color": colour, "value": value} for colour, value in panel.limits]
    defaults: Json = {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.most is not None:
        defaults["max"] = panel.most
    defaults["custom"] = _custom(panel)
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _OPTIONS[panel.kind],
        "targets": [_target(panel, query, place) for place, query in enumerate(panel.queries)],
    }


def _custom(panel: Panel) -> Json:
    if panel.kind != "timeseries":
        return {}
    filled = {"fillOpacity": 40, "stacking": {"mode": "normal", "group": "A"}}
    return {"drawStyle": "line", "lineWidth": 1, "showPoints": "never", **(filled if panel.stacked else {})}


def _target(panel: Panel, query: Query, place: int) -> Json:
    now = panel.kind in ("stat", "bargauge")
    return {
        "refId": chr(ord("A") + place),
        "datasource": SOURCE,
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "instant": now,
        "range": not now,
        "format": "heatmap" if panel.kind == "heatmap" else "time_series",
    }


_REDUCED: Final = {"calcs": ["lastNotNull"], "values": False, "fields": ""}
_OPTIONS: Final[dict[str, Json]] = {
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {"reduceOptions": _REDUCED, "colorMode": "value", "graphMode": "none", "textMode": "auto"},
    "bargauge": {"reduceOptions": _REDUCED, "displayMode": "gradient", "orientation": "horizontal"},
    "heatmap": {
        "calculate": False,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
        "yAxis": {"unit": "s"},
        "cellGap": 1,
        "legend": {"show": True},
        "tooltip": {"mode": "single"},
    },
    "state-timeline": {
        "mergeValues": True,
        "showValue": "never",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "single"},
    },
}

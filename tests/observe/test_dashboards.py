"""Dashboards as they are delivered: what the generator writes, of the shape that Grafana reads, and fit to be read."""

from __future__ import annotations

import re
import sys

import jsonschema
import pytest

from admin.test_metrics import PROMISED
from observe.boards import FOLDER, NAMES, asked, board, marked, panels
from observe.test_rules import RECORDED

sys.path.insert(0, str(FOLDER))

import generate

SOURCE = {"const": {"type": "prometheus", "uid": "${datasource}"}}
UNITS = {"s", "ops", "short", "percentunit", "bytes"}
LIBRARY = {"process_cpu_seconds", "process_resident_memory_bytes", "process_open_fds", "process_max_fds",
           "python_gc_collections", "ALERTS"}  # fmt: skip
"""Metrics that are not this program's own."""

WHOLE, WORDS, FLAG = {"type": "integer", "minimum": 0}, {"type": "string", "minLength": 1}, {"type": "boolean"}


def record(**fields: object) -> dict[str, object]:
    """The schema of an object with exactly these fields, all of them there."""
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def several(items: object, least: int = 0) -> dict[str, object]:
    return {"type": "array", "items": items, "minItems": least}


PLACE = record(h={**WHOLE, "minimum": 1}, w={**WHOLE, "minimum": 1, "maximum": 24}, x={**WHOLE, "maximum": 23}, y=WHOLE)
TARGET = record(
    refId={"pattern": "^[A-Z]$"}, datasource=SOURCE, expr=WORDS, legendFormat=WORDS, instant=FLAG, range=FLAG,
    format={"enum": ["time_series", "heatmap"]},
)  # fmt: skip
STEP = record(color=WORDS, value={"type": ["number", "null"]})
DEFAULTS = {
    "type": "object",
    "properties": {
        "unit": {"enum": sorted(UNITS)},
        "min": {"type": "number"},
        "max": {"type": "number"},
        "thresholds": record(mode={"const": "absolute"}, steps=several(STEP, 1)),
        "custom": {"type": "object"},
    },
    "required": ["unit", "thresholds", "custom"],
    "additionalProperties": False,
}
PANEL = record(
    id={**WHOLE, "minimum": 1}, gridPos=PLACE, title=WORDS, description=WORDS, datasource=SOURCE,
    type={"enum": ["timeseries", "stat", "bargauge", "heatmap", "state-timeline"]}, options={"type": "object"},
    fieldConfig=record(defaults=DEFAULTS, overrides={"const": []}), targets=several(TARGET, 1),
)  # fmt: skip
ROW = record(id={**WHOLE, "minimum": 1}, type={"const": "row"}, title=WORDS, gridPos=PLACE, collapsed={"const": False})
DASHBOARD = record(
    uid={"pattern": "^[a-z-]{1,40}$"}, title={"pattern": "^Everlease / "}, description=WORDS, tags=several(WORDS, 1),
    schemaVersion={"const": 39}, version=WHOLE, editable=FLAG, graphTooltip={"enum": [0, 1, 2]},
    time=record(**{"from": WORDS, "to": {"const": "now"}}), refresh=WORDS,
    templating=record(list=several({"type": "object", "required": ["type", "name", "label", "query"]}, 2)),
    annotations=record(list=several(record(
        name=WORDS, datasource=SOURCE, enable=FLAG, iconColor=WORDS, expr=WORDS, titleFormat=WORDS, textFormat=WORDS,
        useValueForTime=FLAG,
    ))),
    links=several({"type": "object", "required": ["type", "title", "tags"]}),
    panels=several({"oneOf": [PANEL, ROW]}, 2),
)  # fmt: skip
"""What Grafana's dashboard schema says of the fields that are used here (schemaVersion 39), and nothing beyond them."""


def test_what_is_delivered_is_what_the_generator_writes() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(NAMES) == set(generate.DASHBOARDS)
    for name, dashboard in generate.DASHBOARDS.items():
        told = (FOLDER / f"{name}.json").read_text()
        assert told == generate.text(dashboard), "run `python deploy/grafana/generate.py`"


@pytest.mark.parametrize("name", NAMES)
def test_it_has_the_shape_that_grafana_reads(name: str) -> None:
    jsonschema.validate(board(name), DASHBOARD)


def test_the_schema_would_notice() -> None:
    bad = board("node")
    del bad["panels"][1]["description"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(bad, DASHBOARD)


@pytest.mark.parametrize("name", NAMES)
def test_panels_have_a_place_of_their_own_and_a_number_of_their_own(name: str) -> None:
    places = [panel["gridPos"] for panel in board(name)["panels"]]
    cells = [
        (x, y)
        for at in places
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]  # fmt: skip
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    numbers = [panel["id"] for panel in board(name)["panels"]]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_says_what_it_shows_in_a_sentence(name: str) -> None:
    for panel in panels(name):
        assert panel["description"].endswith("."), panel["title"]
        assert len(panel["targets"]) == len({target["refId"] for target in panel["targets"]})
        if len(panel["targets"]) > 1:
            assert all(target["legendFormat"] != "__auto" for target in panel["targets"]), panel["title"]


@pytest.mark.parametrize("name", NAMES)
def test_the_reader_chooses_the_data_source_and_the_cluster(name: str) -> None:
    source, job, *_ = board(name)["templating"]["list"]
    assert (source["type"], source["name"], source["query"]) == ("datasource", "datasource", "prometheus")
    assert job["name"] == "job"
    chosen = {variable["name"] for variable in board(name)["templating"]["list"]}
    text = (FOLDER / f"{name}.json").read_text()
    assert set(re.findall(r"\$\{?([a-z]\w*)", text)) == chosen


@pytest.mark.parametrize("query", [*asked(), *marked()], ids=lambda query: query.place)
def test_a_query_asks_for_this_cluster_over_the_interval_that_fits_the_scrapes(query) -> None:
    bare = re.sub(r'"[^"]*"', '""', query.expr)
    selectors = re.findall(r"(?<![\w:])((?:everlease|process|python|ALERTS)[\w:]*)(\{)?", bare)
    assert selectors
    for metric, brace in selectors:
        assert brace, f"{metric} of every cluster"
    assert query.expr.count('job="$job"') == len(selectors)
    for function, window in re.findall(r"\b(rate|increase|changes)\([^\[]*(\[[^\]]*\])", query.expr):
        assert window == "[$__rate_interval]", function
    metrics = {re.sub(r"_(total|bucket|count|sum)$", "", metric) for metric, _ in selectors}
    assert metrics <= PROMISED.keys() | RECORDED | LIBRARY


@pytest.mark.parametrize("query", list(asked()), ids=lambda query: query.place)
def test_a_series_is_named_by_labels_that_it_has(query) -> None:
    legends = [
        target["legendFormat"]
        for name in NAMES
        for panel in panels(name)
        for target in panel["targets"]
        if target["expr"] == query.expr
    ]
    kept = re.match(r"^(?:topk\(10, )?(?:sum|max|min) by \(([^)]*)\)", query.expr)
    if kept:
        for legend in legends:
            assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= set(kept[1].split(", "))

"""Rules and alerts as they are delivered: Prometheus takes them, each fires and is silent as its test says, and each
leads to a page that tells what to do."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from admin.test_metrics import PROMISED
from checkout import ROOT
from everlease.lab.processes import need

RULES = ROOT / "deploy" / "prometheus"
RUNBOOKS = ROOT / "docs" / "runbooks"
SECTIONS = ["Meaning", "What clients notice", "How to look", "What to do", "How it ends"]
FOREIGN = {"process_open_fds", "process_max_fds", "up"}
"""Metrics that are not this program's own."""


def promtool(*words: str) -> None:
    need("promtool")
    done = subprocess.run(["promtool", *words], cwd=RULES, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def rules(file: str) -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load((RULES / file).read_text())["groups"]:
        yield from group["rules"]


ALERTS = {rule["alert"]: rule for rule in rules("alerts.yaml")}
RECORDED = {rule["record"] for rule in rules("recording.yaml")}
FILES = ("tests.yaml", "tests-days.yaml")
TESTS = [test for name in FILES for test in yaml.safe_load((RULES / name).read_text())["tests"]]


def checks(test: dict[str, Any]) -> list[set[str]]:
    """The alerts that fire at each time of a test."""
    return [
        {re.findall('"(.*)"', sample["labels"])[0] for sample in check["exp_samples"]}
        for check in test["promql_expr_test"]
    ]


def test_prometheus_takes_the_rules() -> None:
    promtool("check", "rules", "recording.yaml", "alerts.yaml")


@pytest.mark.parametrize("file", FILES)
def test_each_alert_fires_when_it_should_and_no_other_does(file: str) -> None:
    promtool("test", "rules", file)


@pytest.mark.parametrize("file", FILES)
def test_what_is_recorded_is_there_before_alerts_look_at_it(file: str) -> None:
    groups = [
        group["name"]
        for name in ("recording.yaml", "alerts.yaml")
        for group in yaml.safe_load((RULES / name).read_text())["groups"]
    ]
    assert yaml.safe_load((RULES / file).read_text())["group_eval_order"] == groups


def test_every_alert_is_seen_to_fire_and_to_be_silent_before() -> None:
    fired = set()
    for test in TESTS:
        first, *_ = checks(test)
        assert first == set(), f"{test['name']}: it begins with silence"
        fired |= set().union(*checks(test))
    assert fired == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_urgent_it_is_and_where_its_page_is(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in ("page", "ticket")
    assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert not alert["annotations"]["summary"].endswith(".")
    assert alert["annotations"]["description"].endswith(".")
    assert alert["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"


@pytest.mark.parametrize("name", ALERTS)
def test_its_page_says_what_it_means_and_what_to_do(name: str) -> None:
    page = (RUNBOOKS / f"{name}.md").read_text()
    alert = ALERTS[name]
    assert page.startswith(f"# {name}\n\n{alert['annotations']['summary']}. Severity: {alert['labels']['severity']}.\n")
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == SECTIONS
    assert all(part.strip() for part in re.split(r"^## .*$", page, flags=re.MULTILINE))


def test_there_is_no_page_without_its_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(ALERTS)


def test_rules_ask_only_for_what_nodes_tell() -> None:
    for rule in [*rules("recording.yaml"), *rules("alerts.yaml")]:
        asked = re.sub(r'"[^"]*"', "", rule["expr"])
        names = set(re.findall(r"(?<![\w:])(?:everlease|process|up)[\w:]*", asked))
        metrics = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in names - RECORDED - FOREIGN}
        assert metrics <= PROMISED.keys(), rule


def test_the_table_of_failures_names_alerts_that_there_are() -> None:
    rows = [line for line in (ROOT / "docs" / "failures.md").read_text().splitlines() if line.startswith("| ")]
    told = [row.split(" | ")[3] for row in rows if not row.startswith("| fault |") and "drill" not in row]
    assert all(cell == "none" or "](runbooks/" in cell for cell in told)
    named = {name for cell in told for name in re.findall(r"runbooks/(\w+)\.md", cell)}
    assert named <= set(ALERTS)
    assert {"EverleaseQuorumLost", "EverleaseStoreMemberDown", "EverleaseCommitsSlow"} <= named

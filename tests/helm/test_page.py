"""What docs/kubernetes.md says is so: its values render, its commands are those that the notes tell, and exist."""

from __future__ import annotations

import re
import shlex

import pytest
import yaml
from typer.main import get_command

from checkout import ROOT
from everlease.cli.main import app
from helm.chart import loaded, nodes, render
from helm.test_objects import NEWEST, OLDEST

PAGE = (ROOT / "docs" / "kubernetes.md").read_text()
EXAMPLES = [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)]
CONSOLE = [
    line for text in re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL) for line in text.splitlines()
]
EXECUTED = [line for line in CONSOLE if " exec " in line]


@pytest.mark.parametrize("values", EXAMPLES, ids=lambda values: values["mode"])
def test_the_pages_values_render(values: dict[str, object]) -> None:
    assert nodes(render(values))
    assert {each["mode"] for each in EXAMPLES} == {"broadcast", "relay"}


def test_the_three_commands_are_those_of_the_notes() -> None:
    relay = next(each for each in EXAMPLES if each["mode"] == "relay")
    notes = loaded().render(relay, name="everlease", namespace="dhcp")["everlease/templates/NOTES.txt"]
    assert len(EXECUTED) == 3
    assert [line.strip() for line in notes.splitlines() if " exec " in line] == EXECUTED


@pytest.mark.parametrize("line", EXECUTED)
def test_what_runs_in_the_pod_is_a_command_of_the_program(line: str) -> None:
    words = shlex.split(line.partition(" -- everlease ")[2])
    command = get_command(app)
    for word in words:
        command = command.get_command(command.make_context("everlease", [], resilient_parsing=True), word)  # type: ignore[attr-defined]
        assert command is not None


def test_the_page_names_the_versions_that_the_chart_is_held_against() -> None:
    assert f"Kubernetes {OLDEST} and {NEWEST}" in PAGE
    assert f"Kubernetes {OLDEST}\nand newer" in PAGE
    assert loaded().metadata["kubeVersion"] == f">={OLDEST}.0-0"

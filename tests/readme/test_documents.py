"""What README and docs say is so: their commands run, their links lead somewhere, their documents are accepted."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from checkout import ROOT, tracked_copy
from everlease.cli.main import app
from everlease.config.load import load
from everlease.config.schema import json_schema

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "node" / "README.md"])


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def shell_commands() -> Iterator[tuple[str, list[str]]]:
    """Every command of every page, as (page, words); continued lines joined, comments gone."""
    for page in PAGES:
        for block in blocks(page, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words:
                    yield page.name, words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_readme_names_two_commands_and_no_other() -> None:
    commands = [words for page, words in shell_commands() if page == "README.md"]
    assert commands == [["./deploy/quickstart.sh"], ["./tests/run.sh"]]


def test_ci_runs_the_readmes_test_command() -> None:
    assert "exec ./tests/run.sh" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.root
def test_the_readmes_quickstart_works_on_a_clean_checkout(tmp_path: Path) -> None:
    tree = tracked_copy(tmp_path / "tree")
    done = subprocess.run(
        ["./deploy/quickstart.sh", "--once"], cwd=tree, capture_output=True, text=True, check=False, timeout=400
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the storage is back: all 3 nodes serve again" in done.stdout


def everlease_commands() -> list[list[str]]:
    return [words[1:] for _, words in shell_commands() if Path(words[0]).name == "everlease"]


@pytest.mark.parametrize("words", everlease_commands(), ids=" ".join)
def test_every_everlease_command_of_the_docs_is_one_that_the_program_knows(words: list[str]) -> None:
    command = get_command(app)
    while words and hasattr(command, "get_command"):
        context = command.make_context("everlease", [], resilient_parsing=True)
        found = command.get_command(context, words[0])
        if found is None:
            break
        command, words = found, words[1:]
    known = {option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]}
    assert {word.split("=")[0] for word in words if word.startswith("--")} <= known | {"--help", "--version"}


RUN_BY = {
    "everlease": "cli",
    ".venv/bin/everlease": "cli",
    "./deploy/quickstart.sh": "readme",
    "./tests/run.sh": "readme",
    "python3 -m venv": "build",
    ".venv/bin/pip install": "build",
    "promtool check": "observe",
    "promtool test": "observe",
    "sed": "observe",
    ".venv/bin/python deploy/grafana/generate.py": "observe",
}
"""How a command of the docs begins, and the folder of the tests that run it."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_the_docs_is_run_by_a_test_or_says_what_it_needs(page: Path) -> None:
    lines = [line for block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
    alone = [line for line in lines if line.strip() and "# needs " not in line and "# yours" not in line]
    assert [line for line in alone if not any(line.lstrip().startswith(each) for each in RUN_BY)] == []


@pytest.mark.parametrize("text", blocks(ROOT / "docs" / "configuration.md", "yaml"))
def test_every_example_of_the_configuration_page_is_accepted(text: str) -> None:
    load(_completed(text))


def _completed(text: str) -> str:
    """A fragment as a document: what it leaves out is put around it."""
    if "schema:" in text:
        return text
    if text.lstrip().startswith("reservations:"):
        return "schema: 1\nsubnets:\n  - id: 1\n    prefix: 10.77.0.0/16\n" + text
    return "schema: 1\n" + text


def keys_of(schema: object) -> Iterator[str]:
    """Every property name of a JSON Schema."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for value in schema.values():
            yield from keys_of(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from keys_of(value)


def test_the_configuration_page_names_every_key() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    assert {key for key in keys_of(json_schema()) if not re.search(rf"\b{key}\b", page)} == set()

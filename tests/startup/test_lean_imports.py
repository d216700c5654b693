"""A node that serves loads neither the document's schema nor what draws for people: seconds of its start, megabytes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "pydantic": "the document's schema: `config.aside` and `config.clerk` have processes for it",
    "pydantic_core": "the same",
    "everlease.config.schema": "the same; for a type alone it is imported under TYPE_CHECKING",
    "everlease.config.compile": "only the process that compiles needs it",
    "yaml": "documents are read in another process, the roles file only where there is one",
    "rich": "for people at a terminal",
    "pygments": "the same",
    "markdown_it": "the same",
    "attr": "comes with rich",
    "jsonschema": "nobody needs it to serve",
    "importlib.metadata": "walks over everything that is installed",
    "everlease.lab": "for tests and the quickstart",
    "unittest": "for tests",
    "xml": "nobody needs it to serve",
}
TELL = "import json, sys; print(json.dumps(sorted(sys.modules)), file=sys.stdout)"
FLAGS = ("--name", "n", "--etcd", "http://127.0.0.1:1", "--listen", "127.0.0.1:1067", "--config-file", "there.yaml")
COMMAND_LINE = f"""
import sys
from everlease import node
def told(settings, early):
    {TELL}
    return 0
node.run = told
from everlease.cli.main import main
sys.argv = ["everlease", "node", *{FLAGS}, "--interface", "office=eth0", "--log-level", "debug", "--answer", "all"]
main()
"""


def loaded(program: str) -> set[str]:
    """Modules of a fresh interpreter after a program."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("program", [f"import everlease.node\n{TELL}", COMMAND_LINE], ids=["node", "command line"])
def test_a_node_that_starts_loads_nothing_that_only_an_administrator_needs(program: str) -> None:
    modules = loaded(program)
    assert "everlease.node" in modules
    assert {name: HEAVY[name] for name in HEAVY if name in modules} == {}


def test_each_of_those_is_a_module_that_the_process_beside_would_load() -> None:
    """Names that nobody has would always be absent."""
    beside = loaded(f"import everlease.config.single, everlease.cli.output, rich.markdown, rich.traceback\n{TELL}")
    assert {"pydantic", "pydantic_core", "everlease.config.schema", "rich", "yaml"} <= beside

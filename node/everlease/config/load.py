"""Text -> `model.Config`, or every problem of the text at once.

The law of this file: reading is the only work here; a node that serves goes through `aside`.
"""

from __future__ import annotations

from everlease.config import text as texts
from everlease.config.compile import compile_document, names_of
from everlease.config.problems import InvalidDocument, Problem, Report
from everlease.config.validate import validate
from everlease.core.model import Config

__all__ = ["InvalidDocument", "Problem", "load"]


def load(text: str, *, revision: int = 0, mod_revision: int = 0) -> Config:
    """Compile a document written in YAML or JSON. Raises InvalidDocument with all of its problems.

    revision: the number that operators see; mod_revision: etcd's of `config/current`.
    """
    return compile_text(text, revision=revision, mod_revision=mod_revision)[0]


def compile_text(text: str, *, revision: int, mod_revision: int) -> tuple[Config, frozenset[int]]:
    """`load`, and the ids of subnets whose prefix another space has too (`assemble.Head.ambiguous`)."""
    tree, twice = texts.read(text)
    validated = validate(tree)
    report = Report()
    config, ambiguous = compile_document(
        validated.document, names_of(tree), report, revision=revision, mod_revision=mod_revision
    )
    meaning = [finding.moved(validated.original) for finding in report.findings]
    findings = [*twice, *validated.findings, *meaning]
    if findings:
        raise texts.located(tree, findings)
    return config, ambiguous

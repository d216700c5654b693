"""Text -> `model.Config`, or every problem of the text at once.

The law of this file: reading is the only work here; a node that serves goes through `aside`.
"""

from __future__ import annotations

from everlease.config import text as texts
from everlease.config.compile import compile_document, names_of
from everlease.config.problems import Finding, InvalidDocument, Problem, Report
from everlease.config.validate import validate
from everlease.core.model import Config

__all__ = ["InvalidDocument", "Problem", "load"]


def load(text: str, *, revision: int = 0, mod_revision: int = 0) -> Config:
    """Compile a document written in YAML or JSON. Raises InvalidDocument with all of its problems.

    revision: the number that operators see; mod_revision: etcd's of `config/current`.
    """
    tree, twice = texts.read(text)
    validated = validate(tree)
    report = Report()
    config = compile_document(validated.document, names_of(tree), report, revision=revision, mod_revision=mod_revision)
    meaning = [Finding(validated.original(finding.path), finding.message) for finding in report.findings]
    findings = [*twice, *validated.findings, *meaning]
    if findings:
        raise texts.located(tree, findings)
    return config

"""In CI a skipped test is a failed one: a green run must mean that everything ran.

Loaded by tests/run.sh when CI is set. A test may still be skipped for a reason that says "this machine cannot",
such as a kernel without a module.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

EXCUSE = "this machine cannot"


def _refuse(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if EXCUSE not in reason:
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: skipped, which CI does not accept: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skip in a test or its set-up."""
    report = yield
    _refuse(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A skip of a whole module."""
    report = yield
    _refuse(report)
    return report

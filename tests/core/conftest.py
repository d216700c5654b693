"""`pytest tests/core --rewrite` writes the transcripts in `scenarios/` anew; read what changed before you commit."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite", action="store_true", help="write core/scenarios/*.txt as decided now")

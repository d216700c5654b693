"""`pytest tests/helm --rewrite-manifests` writes `golden/` anew; read what changed before you commit."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-manifests", action="store_true", help="write helm/golden/*.yaml as rendered now")

"""The bug: a commit is a commit; its reply leaves whenever that is known (no I5 check)."""

from __future__ import annotations

from math import inf

from everlease.cli.main import main
from everlease.runtime import carrier, committer, responder

if __name__ == "__main__":
    for module in (carrier, committer, responder):
        module.PATIENCE = inf  # type: ignore[attr-defined]
    main()

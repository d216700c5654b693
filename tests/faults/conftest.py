"""Which scenarios run: all that are named in FAULTS ("F1 F5 drill"), else all but those that take many minutes.

`F5` names every scenario whose id is F5 or begins with F5-. `tests/faults` alone means the scenarios and not the lab's
own tests (of its client, its history, the planted bugs): they run with all others, or by their folders' names.
"""

from __future__ import annotations

import os

import pytest

SCENARIOS = "tests/faults"
LONG = "long"
"""The last word of an id: runs only when it is named in full."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what was not asked for."""
    wanted = os.environ.get("FAULTS", "").split()
    alone = config.args == [SCENARIOS]
    left_out = [
        item
        for item in items
        if "faults" in item.path.parts and (not _is_wanted(id_ := _id(item), wanted) or (alone and not id_))
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _id(item: pytest.Item) -> str:
    """The scenario's id; "" for anything else."""
    scenario = item.path.parent.name == "faults" and isinstance(item, pytest.Function) and hasattr(item, "callspec")
    return item.callspec.id if scenario else ""


def _is_wanted(name: str, wanted: list[str]) -> bool:
    if not wanted:
        return not name.endswith(LONG)
    return any(name == word or (name.startswith(f"{word}-") and not name.endswith(LONG)) for word in wanted)

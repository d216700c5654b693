"""Who manages the configuration: a program that applies a document again and again, and the people beside it.

The law of this file: a manager applies what changed since it applied last, and nothing over somebody else's change.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import Final

from everlease.store.records import Current

AT_START: Final = "--config-file"
"""Author of the document that a node found beside itself when there was none: the first manager takes it over."""


class Verdict(Enum):
    """What a manager's document is: KEEP: unchanged, nothing to do; APPLY: to be put in force; REFUSE: not his."""

    KEEP = auto()
    APPLY = auto()
    REFUSE = auto()


def judge(manager: str, digest: str, history: Sequence[Current], *, force: bool = False) -> Verdict:
    """digest: of the manager's document. history: oldest first, the last one is in force; empty = none is.

    The very text that is in force is applied again where somebody else applied it: from then on it is the manager's.
    """
    if not history:
        return Verdict.APPLY
    current = history[-1]
    if force:
        return Verdict.KEEP if _own(current, manager) and current.digest == digest else Verdict.APPLY
    own = [each for each in history if _own(each, manager)]
    if own and own[-1].digest == digest:
        return Verdict.KEEP
    return Verdict.APPLY if _own(current, manager) or current.digest == digest else Verdict.REFUSE


def refusal(manager: str, current: Current) -> str:
    """Why, and the two ways on."""
    who = current.manager or current.author or "somebody"
    return (
        f"revision {current.revision} was applied by {who}, not by {manager}; nothing was changed. "
        "Give the manager the document that is in force (`everlease config show`), or apply with force"
    )


def _own(each: Current, manager: str) -> bool:
    return each.manager == manager or each.author == AT_START

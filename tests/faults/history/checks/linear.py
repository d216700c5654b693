"""I17: calls of the admin API, seen per key, are as if each had happened at one instant between its begin and its end.

Law: the search is Wing and Gong's: try every call that could be next, undo, try another. Histories per key are short. A
call whose outcome is unknown may have happened at any time after it began, or never. That every call is authorised, and
fails closed, is for the admin API's own tests: it is not in a history.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from math import inf

from faults.history.events import Call
from faults.history.model import History, Violation

DONE, REFUSED = "done", "refused"


def administration_is_linearizable(history: History) -> Iterator[Violation]:
    """I17: for each key there is an order of its calls that explains all of their answers."""
    by_key: dict[str, list[Call]] = defaultdict(list)
    for call in history.of(Call):
        by_key[call.key].append(call)
    for key, calls in by_key.items():
        if not linearizable(calls):
            told = "; ".join(f"{call.operation}{call.given} -> {call.answer or '?'}" for call in calls[:10])
            yield Violation("I17", calls[-1].at, f"{key}: no order of its {len(calls)} calls explains them: {told}")


def linearizable(calls: list[Call], initial: str = "") -> bool:
    """Whether some order of the calls explains their answers. initial: the value before the first."""
    seen: set[tuple[frozenset[int], str]] = set()
    stack = [(frozenset(range(len(calls))), initial)]
    while stack:
        left, value = stack.pop()
        if all(not calls[number].known for number in left):
            return True
        if (left, value) in seen:
            continue
        seen.add((left, value))
        horizon = min(_ended(calls[number]) for number in left)
        for number in left:
            if calls[number].at <= horizon:
                stack += [(left - {number}, after) for after in _outcomes(calls[number], value)]
    return False


def _ended(call: Call) -> float:
    return call.ended if call.known else inf


def _outcomes(call: Call, value: str) -> list[str]:
    """The values that may be there after a call that finds `value`; [] if its answer does not fit."""
    if call.operation == "read":
        return [value] if not call.known or call.answer == value else []
    if call.operation == "write":
        return [call.given[0]]
    expected, new = call.given
    succeeded = expected == value
    if call.known and (call.answer == DONE) != succeeded:
        return []
    return [new if succeeded else value]

"""What nodes say in their logs: I14, I23."""

from __future__ import annotations

from collections.abc import Iterator

from faults.history.events import Line, Told
from faults.history.model import History, Violation

QUIET = ("debug",)
"""Levels that may name a client."""


def configuration_moves_forward(history: History) -> Iterator[Violation]:
    """I14: a node answers from no older configuration than before, nor after all of them said that they had a newer."""
    newest: dict[str, int] = {}
    applied = [(at, int(revision)) for at, revision in history.marks("applied")]
    for line in sorted(history.of(Told), key=lambda line: (line.node, line.number)):
        floor = max((revision for at, revision in applied if at < line.at), default=0)
        known = max(newest.get(line.node, 0), floor)
        if line.config < known:
            what = f"{line.node} told {line.address} by configuration {line.config} after {known}"
            yield Violation("I14", line.at, what + history.faults_at(line.at))
        newest[line.node] = max(known, line.config)


def no_client_is_named(history: History) -> Iterator[Violation]:
    """I23: no line above debug carries a MAC or a client key; the lines that --log-leases asks for are kept apart.

    That clients with random identities cannot pin leases is for the pool's own tests: it takes hours of leases.
    """
    names = {packet.mac for packet in history.packets} | {packet.client for packet in history.packets}
    names |= {name.replace(":", "") for name in names}
    names.discard("")
    lengths = sorted({len(name) for name in names})
    for line in history.of(Line):
        if line.level not in QUIET and (named := _named(line, names, lengths)):
            yield Violation("I23", line.at, f"{line.node} wrote {named}: {line.text[:160]}")


def _named(line: Line, names: set[str], lengths: list[int]) -> str:
    """The first of so many names in a line: each stretch of hex digits and colons is looked up."""
    text = line.text.lower()
    words = "".join(letter if letter in "0123456789abcdef:" else " " for letter in text).split()
    for word in words:
        for length in lengths:
            for start in range(len(word) - length + 1):
                if word[start : start + length] in names:
                    return word[start : start + length]
    return ""

"""The DHCPv4 parser under mutated packets: it returns or raises `WireError`, nothing else, and keeps its promises."""

from __future__ import annotations

import itertools

import pytest

from fuzz import v4
from fuzz.mutate import mutants

ROUNDS = 4
INPUTS = 3_000  # a round takes about half a second; `python -m fuzz.v4` goes on for as long as asked


@pytest.mark.parametrize("path", sorted(v4.CORPUS.glob("*.hex")), ids=lambda path: path.stem)
def test_a_stored_input_is_read_or_refused(path: v4.Path) -> None:
    assert v4.outcome(v4.read_hex(path))


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_mutated_packets_are_read_or_refused(seed: int) -> None:
    found = v4.fuzz(seed, INPUTS)
    assert len(found) > 10, "the fuzzer does not get past the header"


@pytest.mark.slow
def test_a_million_mutated_packets_are_read_or_refused() -> None:
    for seed in range(100, 150):
        v4.fuzz(seed, 20_000)


def test_a_seed_replays_exactly() -> None:
    def first(seed: int) -> list[bytes]:
        return list(itertools.islice(mutants(v4.load(), seed), 50))

    assert first(7) == first(7)
    assert first(7) != first(8)

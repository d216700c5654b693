"""What work beside the load is said to cost, from blocks whose delays are known."""

from __future__ import annotations

import pytest

from bench.beside import Block, Pair, Work, compared, moved, pairs
from bench.capture import Delays

STRICT, LENIENT = (Work("it", "nobody", leases=1, rate=1, may_move=may) for may in (None, 0.2))


def block(p99: float, *, beside: bool = False) -> Block:
    """Of a second; milliseconds."""
    return Block(beside, 0.0, 1.0, delays=[p99 / 1e3] * 100)


def neighbours(alone: list[float], beside: list[float]) -> list[Pair]:
    return [(block(one), block(other, beside=True)) for one, other in zip(alone, beside, strict=True)]


def test_what_every_pair_shows_is_the_works_however_the_machine_changes() -> None:
    by_work, by_itself = moved(neighbours([10.0, 50.0, 20.0, 90.0], [11.0, 55.0, 22.0, 99.0]))
    assert by_work == pytest.approx(0.1)
    assert by_itself == pytest.approx(0.0)


def test_where_pairs_disagree_it_is_the_machine() -> None:
    by_work, by_itself = moved(neighbours([10.0] * 6, [5.0, 20.0, 5.0, 20.0, 5.0, 20.0]))
    assert by_work == pytest.approx(0.0)
    assert by_itself == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("alone", "beside", "strict", "lenient"),
    [
        ([10.0] * 8, [11.0] * 8, False, True),
        ([10.0] * 8, [13.0] * 8, False, False),
        ([10.0] * 8, [7.0, 28.0] * 4, True, False),
        ([10.0] * 8, [9.0] * 8, True, True),
    ],
)
def test_a_promise_is_kept_by_what_it_allows(
    alone: list[float], beside: list[float], strict: bool, lenient: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    both = neighbours(alone, beside)
    assert compared(STRICT, both) is strict
    assert compared(LENIENT, both) is lenient
    assert "it moves p99 by" in capsys.readouterr().out


def test_blocks_take_turns_and_those_at_the_edges_of_the_load_do_not_count() -> None:
    blocks = [Block(number % 4 in (1, 2), number, number + 0.9) for number in range(14)]
    seen = Delays()
    seen.asked, seen.ack = [number / 200 for number in range(11 * 200)], [0.001] * 2200
    chosen = pairs(blocks, seen)
    assert [(alone.start, beside.start) for alone, beside in chosen] == [(4, 5), (7, 6), (8, 9)]
    assert all(len(alone.delays) == 180 for alone, _ in chosen)

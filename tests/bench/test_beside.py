"""What work beside the load is said to cost, from blocks whose delays are known."""

from __future__ import annotations

from random import Random

import pytest

from bench.beside import Block, Work, compared, noise

STRICT, LENIENT = (Work("it", "nobody", leases=1, rate=1, may_move=may) for may in (None, 0.2))


def blocks(*p99s: float, beside: bool = False) -> list[Block]:
    """Of a second each; milliseconds."""
    return [Block(beside, 0.0, 1.0, delays=[value / 1e3] * 100) for value in p99s]


def test_a_machine_that_is_always_the_same_moves_nothing_by_itself() -> None:
    assert noise(blocks(*[5.0] * 10), Random(1)) == 0


def test_a_machine_that_changes_moves_as_much_as_two_halves_of_its_blocks_differ() -> None:
    assert noise(blocks(4.0, 8.0, 4.0, 8.0, 4.0, 8.0), Random(1)) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("alone", "beside", "strict", "lenient"),
    [
        ([10.0] * 8, [11.0] * 8, False, True),
        ([10.0] * 8, [13.0] * 8, False, False),
        ([5.0, 15.0] * 4, [13.0] * 8, True, False),
        ([10.0] * 8, [9.0] * 8, True, True),
    ],
)
def test_a_promise_is_kept_by_what_it_allows(
    alone: list[float], beside: list[float], strict: bool, lenient: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    both = blocks(*alone) + blocks(*beside, beside=True)
    assert compared(STRICT, both) is strict
    assert compared(LENIENT, both) is lenient
    assert "it moves p99 by" in capsys.readouterr().out

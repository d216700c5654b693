"""`python -m observe.unobserved node ...`: the same program, which stops timing and counting at SIGUSR2.

At SIGUSR1 it goes on with it. For comparison only: what is left out is what metrics cost a node between two scrapes.
"""

from __future__ import annotations

import signal

from everlease.cli.main import main
from everlease.runtime import counters, exchange, responder

PLACES = (
    (counters.Histogram, "observe"),
    (counters.Counters, "changed"),
    (counters.Counters, "committed"),
    (exchange.Exchange, "decided"),
    (exchange.Exchange, "settled"),
    (responder, "account"),
)
"""Every observation, every phase, every count by subnet or member."""

USUAL = [getattr(place, name) for place, name in PLACES]


def nothing(*_: object, **__: object) -> None:
    """Instead of counting."""


def leave_out(*_: object) -> None:
    """From now on."""
    for place, name in PLACES:
        setattr(place, name, nothing)


def put_back(*_: object) -> None:
    """From now on."""
    for (place, name), usual in zip(PLACES, USUAL, strict=True):
        setattr(place, name, usual)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, put_back)
    signal.signal(signal.SIGUSR2, leave_out)
    main()

"""`python -m observe.unobserved node ...`: the same program, which times nothing and fills no histogram.

For comparison only: what is left out here is what metrics cost a node between two scrapes.
"""

from __future__ import annotations

from everlease.cli.main import main
from everlease.runtime import carrier, counters, exchange, responder


def nothing(*_: object, **__: object) -> None:
    """Instead of counting."""


def leave_out() -> None:
    """Every observation, every phase, every count by subnet or member."""
    counters.Histogram.observe = nothing  # type: ignore[method-assign]
    counters.Counters.changed = nothing  # type: ignore[method-assign]
    carrier.Counters.committed = nothing  # type: ignore[method-assign]
    exchange.Exchange.decided = nothing  # type: ignore[method-assign]
    exchange.Exchange.settled = nothing  # type: ignore[method-assign]
    responder.account = nothing


if __name__ == "__main__":
    leave_out()
    main()

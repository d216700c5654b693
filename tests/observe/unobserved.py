"""`python -m observe.unobserved node ...`: the same program, which stops timing and counting at SIGUSR2.

At SIGUSR1 it goes on with it. For comparison only: what is left out is what metrics cost a node between two scrapes.
The law of this file: only code is exchanged, never an attribute of a class: after that the interpreter would have to
learn again how to look up every attribute of its instances, and run slowly until it has.
"""

from __future__ import annotations

import signal
from types import CodeType

from everlease.cli.main import main
from everlease.runtime.counters import Counters
from everlease.runtime.exchange import Exchange, account

FUNCTIONS = (Counters.changed, Counters.committed, Exchange.decided, Exchange.settled, account)
"""Every phase, every count by subnet or member; with them nearly every observation: one for each batch is left."""

USUAL = [function.__code__ for function in FUNCTIONS]
_EMPTY = {
    each.__code__.co_argcount: each.__code__
    for each in (lambda a, b: None, lambda a, b, c, d: None, lambda a, b, c, d, e: None)
}
_EMPTY_NAMED = (lambda *_, **__: None).__code__


def _empty(code: CodeType) -> CodeType:
    """Code that is called alike, and does nothing."""
    return _EMPTY_NAMED if code.co_kwonlyargcount else _EMPTY[code.co_argcount]


NOTHING = [_empty(code) for code in USUAL]


def leave_out(*_: object) -> None:
    """From now on."""
    for function, nothing in zip(FUNCTIONS, NOTHING, strict=True):
        function.__code__ = nothing


def put_back(*_: object) -> None:
    """From now on."""
    for function, usual in zip(FUNCTIONS, USUAL, strict=True):
        function.__code__ = usual


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, put_back)
    signal.signal(signal.SIGUSR2, leave_out)
    main()

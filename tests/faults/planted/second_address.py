"""The bug: a write without an answer has failed, so the client gets another address; the next one will do."""

from __future__ import annotations

from dataclasses import replace

from everlease.cli.main import main
from everlease.core.actions import GRANT, Commit
from everlease.runtime import carrier
from everlease.runtime.committer import LOST
from everlease.runtime.exchange import Exchange
from everlease.runtime.responder import Responder

_honest = Responder._settled
_YIADDR = slice(16, 20)


def _settled(self: Responder, exchange: Exchange, commit: Commit, outcome: int) -> None:
    if outcome == LOST and commit.change.kind == GRANT:
        self._commit(exchange, _elsewhere(commit))
    else:
        _honest(self, exchange, commit, outcome)


def _elsewhere(commit: Commit) -> Commit:
    """The same grant, one address further. The index has been written already, has it not?"""
    assert commit.then is not None
    address = commit.change.address + 1
    payload = bytearray(commit.then.payload)
    payload[_YIADDR] = address.to_bytes(4, "big")
    then = replace(commit.then, payload=bytes(payload))
    change = replace(commit.change, address=address, expected=0, indexes=(), puts_index=False, displaced=None, seen=())
    return replace(commit, change=change, then=then)


if __name__ == "__main__":
    carrier.PATIENCE = 0.0  # type: ignore[misc]
    Responder._settled = _settled  # type: ignore[method-assign]
    main()

"""The bug: the ACK leaves at once, for the commit will succeed anyway."""

from __future__ import annotations

from dataclasses import replace

from everlease.cli.main import main
from everlease.core.actions import Commit
from everlease.runtime.exchange import Exchange
from everlease.runtime.responder import Responder

_honest = Responder._commit


def _commit(self: Responder, exchange: Exchange, commit: Commit) -> None:
    if commit.then is not None and commit.then.result == "ack":
        self._send(exchange, commit.then)
        commit = replace(commit, then=None)
    _honest(self, exchange, commit)


if __name__ == "__main__":
    Responder._commit = _commit  # type: ignore[method-assign]
    main()

"""The bug: the store does not answer, so the client is told that it cannot have its address."""

from __future__ import annotations

from dataclasses import replace

from everlease.cli.main import main
from everlease.core.actions import Commit
from everlease.runtime.committer import LOST
from everlease.runtime.exchange import Exchange
from everlease.runtime.responder import Responder
from everlease.wire import v4

_honest = Responder._settled


def _settled(self: Responder, exchange: Exchange, commit: Commit, outcome: int) -> None:
    if outcome == LOST and commit.then is not None:
        ack = v4.parse(commit.then.payload)
        nak = replace(ack, yiaddr=0, options={53: bytes([v4.NAK]), 54: ack.options[54]})
        self._send(exchange, replace(commit.then, payload=v4.build(nak), result="nak"))
    else:
        _honest(self, exchange, commit, outcome)


if __name__ == "__main__":
    Responder._settled = _settled  # type: ignore[method-assign]
    main()

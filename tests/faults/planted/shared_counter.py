"""The bug: each batch also puts how many addresses are bound by now, which its node keeps count of as it sends them."""

from __future__ import annotations

from everlease.cli.main import main
from everlease.core.actions import GRANT
from everlease.runtime.committer import Committer, Load

_honest = Committer._request
_COUNTER = b"/everlease/x/counters/default/4/1"
_sent = 0


def _request(self: Committer, load: Load) -> bytes:
    global _sent  # noqa: PLW0603
    grants = [ticket.leaf for ticket in load.tickets if ticket.change is not None and ticket.change.kind == GRANT]
    if grants:
        _sent += len(grants)
        puts = [pair for pair in grants[0].puts if pair[0] != _COUNTER]
        grants[0].puts = [*puts, (_COUNTER, b"%d" % _sent)]
        load.batch = None  # it was encoded without the counter
    return _honest(self, load)


if __name__ == "__main__":
    Committer._request = _request  # type: ignore[method-assign]
    main()

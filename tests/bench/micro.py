"""What one packet costs, step by step: `PYTHONPATH=tests python -m bench.micro`.

Each step is timed by itself, the best of several runs, and shown in microseconds and as a ratio to a calibration loop:
the ratio is what can be compared between machines.
"""

from __future__ import annotations

import sys
import timeit
from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct

from rich.console import Console
from rich.table import Table

from bench.prefill import FIRST_ADDRESS, lease, puts
from bench.wires import SERVICE
from everlease.config.load import load
from everlease.core.actions import GRANT, Change
from everlease.core.answering import owned_mask, rendezvous
from everlease.core.bodies import PARAMETER_REQUEST_LIST, body_of
from everlease.core.policy import policy_of
from everlease.core.query import Query, pool_at
from everlease.core.replies import Terms, render
from everlease.core.situation import Peers, Situation
from everlease.core.v4 import decide, understand
from everlease.runtime.counters import Histogram
from everlease.runtime.offers import OfferTable
from everlease.store.api import KeyValue
from everlease.store.keys import Keys
from everlease.store.records import decode_row, encode_lease
from everlease.store.txn import MAX_CHANGES, Batch, Fences, plan
from everlease.store.view import View
from everlease.wire.v4 import ACK, DISCOVER, REQUEST, Packet, build, parse

_TARGET_S = 0.05
_RUNS = 5
_NOW = 1_700_000_000
_LEASES = 10_000
_OBSERVATIONS = 1000
_NODE, _RELAY = 0x0A400001, 0x0A40000B


@dataclass(frozen=True)
class Step:
    """`run` does the step `per` times; `budget_us` is what the design allows for one on one 2-core machine's core."""

    name: str
    run: Callable[[], object]
    budget_us: float
    per: int = 1


def calibration() -> None:
    """The unit: what every step is made of, one struct, one slice, one dictionary entry, one branch, ten times."""
    fields: dict[int, bytes] = {}
    data = bytes(64)
    for number in range(10):
        word, _ = _PAIR.unpack_from(data, number)
        fields[number + word] = data[number : number + 4]


_PAIR = Struct("!II")


def microseconds(run: Callable[[], object]) -> float:
    """The best of several runs, each of about 50 ms."""
    timer = timeit.Timer(run)
    once = max(timer.timeit(10) / 10, 1e-8)
    count = max(1, int(_TARGET_S / once))
    return min(timer.repeat(_RUNS, count)) / count * 1e6


def client_message(kind: int) -> bytes:
    """What a common client sends through a relay: nine options, 300 bytes."""
    options = {
        53: bytes([kind]),
        61: b"\x01\x02\xbe\x00\x00\x00\x01",
        57: b"\x05\xdc",
        60: b"dhcpcd-9.4.1:Linux-6.1",
        12: b"workstation-000001",
        55: bytes([1, 3, 6, 15, 28, 42, 51, 58, 59, 119, 121]),
        82: bytes.fromhex("010667655f302f31020610203040506f"),
    }
    if kind == REQUEST:
        options |= {50: (FIRST_ADDRESS + 0x70000).to_bytes(4, "big"), 54: _NODE.to_bytes(4, "big")}
    return build(Packet(xid=1, giaddr=_RELAY, chaddr=b"\x02\xbe\x00\x00\x00\x01", options=options))


def _grant(number: int) -> Change:
    address, record = lease(number, _NOW)
    return Change(
        kind=GRANT,
        space="default",
        address=address,
        subnet=1,
        client=record.client,
        expected=0,
        lease=record,
        indexes=((1, 0),),
        puts_index=True,
    )


def situation() -> Situation:
    """One of three nodes with 10,000 leases in its view, asked by the relay that only it hears."""
    pools = f"[{{range: {SERVICE.pool}}}]"
    config = load(f"{{schema: 1, subnets: [{{id: 1, name: bench, prefix: {SERVICE.prefix}, pools: {pools}}}]}}")
    view = View(Keys(), _NOW)
    for key, value in puts(_LEASES, _NOW):
        view.apply(KeyValue(key, value, 5, 1))
    order = rendezvous(frozenset({"node0"}))
    peers = Peers("node0", frozenset({"node0"}), order, owned_mask(order, "node0"), {_NODE: "node0"})
    return Situation(
        now=_NOW, reuse_now=_NOW, config=config, view=view, offers=OfferTable(), peers=peers, link=None,
        interface=(), local=_NODE, source=_RELAY, source_port=67, destination=_NODE,
    )  # fmt: skip


def _reply(request: Packet, around: Situation) -> Callable[[], object]:
    query = understand(request, around)
    assert isinstance(query, Query)
    subnet, address = query.network.subnets[0], FIRST_ADDRESS
    policy = policy_of(query, subnet, pool_at(subnet, address), None)
    terms = Terms(ACK, _NODE, address, 3600, 1800, 3150)
    wanted = request.options[PARAMETER_REQUEST_LIST]
    return lambda: render(query, body_of(policy, ACK, wanted), terms)


def steps() -> list[Step]:
    """The life of a packet, in order."""
    discover, request = client_message(DISCOVER), client_message(REQUEST)
    asks, takes, around = parse(discover), parse(request), situation()
    keys, grants = Keys(), [_grant(number) for number in range(MAX_CHANGES)]
    record = grants[0].lease
    assert record is not None
    written = encode_lease(record)
    fences = Fences(keys.config_current, 7, keys.node("node0"), 9)

    def commit() -> bytes:
        batch = Batch(fences)
        for change in grants:
            batch.add(plan(keys, change))
        return batch.request()

    histogram = Histogram()

    def observe() -> Histogram:
        count = histogram.observe
        for _ in range(_OBSERVATIONS):
            count(0.0042)
        histogram.fold()
        return histogram

    return [
        Step("parse a DISCOVER", lambda: parse(discover), 4.0),
        Step("parse a REQUEST", lambda: parse(request), 4.0),
        Step("decide a DISCOVER, with its OFFER", lambda: decide(asks, around), 15.0),
        Step("decide a REQUEST, with its ACK", lambda: decide(takes, around), 15.0),
        Step("reply from a precompiled body", _reply(takes, around), 3.0),
        Step("commit: one of a batch, encoded", commit, 20.0, per=MAX_CHANGES),
        Step("record: encode", lambda: encode_lease(record), 4.0),
        Step("metrics: one observation", observe, 0.2, per=_OBSERVATIONS),
        Step("view: decode a row", lambda: decode_row(written, 7), 2.0),
    ]


def main() -> int:
    """Print the table; exit 1 with --strict when a step is over its budget."""
    unit = microseconds(calibration)
    table = Table(title=f"One packet's steps; calibration loop {unit:.2f} us")
    for title in ("step", "us", "ratio", "budget us"):
        table.add_column(title, justify="left" if title == "step" else "right")
    over = False
    for step in steps():
        cost = microseconds(step.run) / step.per
        over |= cost > step.budget_us
        colour = "red" if cost > step.budget_us else "green"
        table.add_row(step.name, f"[{colour}]{cost:.2f}[/]", f"{cost / unit:.2f}", f"{step.budget_us:.0f}")
    Console().print(table)
    return 1 if over and "--strict" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())

"""I20: what nodes tell of latency and of packets is what the wire saw on the clients' side."""

from __future__ import annotations

from math import isinf

import pytest

from bench.capture import capturing, frames, missed
from everlease.lab.netns import Lab
from everlease.lab.processes import wait_until
from faults.client import LoadClient, Plan
from lab.site import Site
from observe.wire import Seen, Told, between, seen, told

pytestmark = [pytest.mark.root, pytest.mark.etcd]

NODES = 3
FOR_EVER = 3600.0

RESOLUTION = 0.0005
"""Seconds by which a node's clock readings and the kernel's stamps on the client's side may differ for one packet."""

OUTLIERS = 0.02
"""The share of exchanges in whose midst a machine with two cores and ten processes may let the node stand longer."""

STANDSTILL = 0.002
"""Seconds of that, on average over all exchanges, at most."""

OFFERED, ACKED = ("discover", "offer"), ("request", "ack")


def settled(site: Site) -> Told:
    """What was told once every packet that came in has an end."""

    def ended() -> Told | None:
        found = told(site.nodes)
        return found if found.received == found.ended else None

    return wait_until(ended, 20, "an end for each packet", every=0.2)


def agree(wire: Seen, before: Told, after: Told) -> None:
    """Counts are equal, exactly; sums and buckets within what the clocks can tell."""
    for kind, delays in wire.delays.items():
        count, total = after.counts[kind] - before.counts[kind], after.sums[kind] - before.sums[kind]
        assert count == len(delays), kind
        apart = (total - sum(delays)) / count
        print(f"{kind}: {count} on the wire and in the histogram, sums apart by {apart * 1e6:+.1f} us an exchange")
        assert -RESOLUTION < apart < STANDSTILL, kind
        may_differ = max(2, OUTLIERS * count)
        for bound, here in after.buckets[kind].items():
            if isinf(bound):
                continue
            least, most = between(delays, bound, RESOLUTION, RESOLUTION)
            assert least - may_differ <= here - before.buckets[kind][bound] <= most + may_differ, (kind, bound)


@pytest.mark.parametrize(
    ("exchanges", "rate"),
    [pytest.param(500, 100.0, id="500"), pytest.param(20_000, 250.0, id="20000", marks=pytest.mark.slow)],
)
def test_histograms_and_counters_equal_what_the_clients_side_of_the_wire_saw(
    lab: Lab, exchanges: int, rate: float
) -> None:
    site = Site(lab, NODES, 3).start()
    place, file = site.client("crowd"), lab.folder / "clients.pcap"
    clients = LoadClient(lab, place, Plan(rate=rate, stay=FOR_EVER, seed=5, number=5))
    before = settled(site)
    with capturing(place, "eth0", file):
        clients.start()
        wait_until(lambda: clients.counts().get("bound", 0) >= exchanges, exchanges / rate + 60, "all are bound")
        clients.rate(0)
        wait_until(lambda: set(clients.counts()) == {"bound"}, 30, "nobody asks any more", every=0.2)
        after = settled(site)
    assert missed(file) == 0
    wire = seen(frames(file.read_bytes()))
    assert len(wire.delays[ACKED]) >= exchanges <= len(wire.delays[OFFERED])
    assert after.received - before.received == NODES * wire.asked
    assert after.sent - before.sent == wire.answered
    assert set(wire.delays) == {OFFERED, ACKED}
    agree(wire, before, after)
    assert after.phases == pytest.approx(after.whole, rel=1e-6)

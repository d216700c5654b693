"""kill -9 of a node and of a store member while clients come: everybody is bound, nobody twice, no promise is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from cluster.audit import Records, check
from cluster.crowd import Crowd
from everlease.lab.netns import Lab
from lab.site import Site

pytestmark = [pytest.mark.root, pytest.mark.etcd]
MakeCrowd = Callable[..., Crowd]


def after(seconds: float, act: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(seconds, act)
    timer.start()
    return timer


def test_a_node_and_the_stores_leader_are_killed_while_clients_come_and_every_promise_holds(
    lab: Lab, crowd_on: MakeCrowd
) -> None:
    site = Site(lab).start()
    leader = site.etcd.leader()
    node = site.nodes[(leader + 1) % 3]  # not beside the member that is killed as well
    early, coming = crowd_on(site.client("early"), 100, 1), crowd_on(site.client("coming"), 150, 2)
    early.boot(within=1.0)
    early.run(early.all_bound, 20)
    timers = [
        after(2.0, node.kill),
        after(5.0, lambda: site.etcd.kill(leader)),
    ]
    coming.boot(within=10.0)
    early.reboot(within=10.0)  # INIT-REBOOT: each says which address it has

    def done() -> bool:
        early.step()
        return early.all_bound() and coming.all_bound()

    coming.run(done, 60)
    for timer in timers:
        timer.join()
    assert max(early.most("REQUEST"), coming.most("REQUEST"), coming.most("DISCOVER")) <= 3
    assert sum(guest.naks for guest in (*early.guests, *coming.guests)) == 0
    node.start()
    site.etcd.start_member(leader)
    site.etcd.wait_healthy()
    node.wait_ready()
    for crowd in (early, coming):
        crowd.reboot(within=1.0)
        crowd.run(crowd.all_bound, 20)
    check([*early.acks, *coming.acks], Records(site.etcd))

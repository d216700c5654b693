"""Dashboards and alerts on a real Prometheus that scrapes a real cluster under load: every query has an answer, and a
member that hangs fires its alert and no other page."""

from __future__ import annotations

import time
from math import isnan

import pytest

from everlease.lab.netns import Lab
from everlease.lab.processes import LabError, wait_until
from faults.inject.process import member_stopped
from lab.site import Site
from observe.boards import Asked, asked, marked, variables
from observe.prometheus import Prometheus
from observe.test_drill import NOTICED, PAGE, load, unreadable

pytestmark = [pytest.mark.root, pytest.mark.etcd]

RATE = 40.0
ANSWERED = 30.0
"""Seconds until every query has an answer: the slowest one wants two evaluations of a recording rule."""

DOWN = "EverleaseStoreMemberDown"


def unanswered(prometheus: Prometheus, queries: list[Asked]) -> list[str]:
    """The queries that have no answer, or none that is a number."""
    return [
        f"{query.place}: {query.chosen}"
        for query in queries
        if all(isnan(each.value) for each in prometheus.query(query.chosen))
    ]


def test_every_query_of_the_dashboards_has_an_answer_and_a_hanging_member_fires_its_alert(lab: Lab) -> None:
    site = Site(lab)
    prometheus = Prometheus(site)
    site.start()
    prometheus.start()
    load(site, RATE)
    queries = [*asked(), *variables()]
    assert len(queries) > 50
    try:
        wait_until(lambda: not unanswered(prometheus, queries), ANSWERED, "an answer to each query", every=0.5)
    except LabError as late:
        raise LabError("\n".join([str(late), *unanswered(prometheus, queries)])) from late
    prometheus.wait_silent(PAGE, NOTICED)
    began = time.time()
    with member_stopped(site, 2):  # type: ignore[arg-type]
        prometheus.wait_firing(DOWN, NOTICED)
        assert unreadable(prometheus) == []
        lines = {query.place: prometheus.query(query.chosen) for query in marked()}  # an error is raised
        assert any(each.labels["alertname"] == DOWN for each in lines["cluster: mark Alert"])
    assert prometheus.fired(began, PAGE) == {DOWN}

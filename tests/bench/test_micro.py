"""The micro-benchmarks do what their names say; how fast is for `python -m bench.micro` on a quiet machine."""

from __future__ import annotations

from bench import micro, prefill
from everlease.core.actions import GRANT, Commit, Reply
from everlease.core.v4 import decide
from everlease.pb.etcd.v1 import etcd_pb2 as pb
from everlease.store.keys import Keys
from everlease.store.records import decode_lease
from everlease.wire.v4 import DISCOVER, REQUEST, parse


def test_every_step_runs() -> None:
    for step in micro.steps():
        assert step.run() is not None, step.name


def test_the_decisions_that_are_timed_are_an_offer_and_a_grant() -> None:
    around = micro.situation()
    offer = decide(parse(micro.client_message(DISCOVER)), around)
    assert isinstance(offer, Reply)
    assert offer.result == "offer"
    grant = decide(parse(micro.client_message(REQUEST)), around)
    assert isinstance(grant, Commit)
    assert grant.change.kind == GRANT


def test_the_fill_writes_each_lease_and_its_index_once() -> None:
    requests = list(prefill.requests(prefill.puts(3000, 1_700_000_000)))
    puts = {
        inner.request_put.key: inner.request_put.value
        for raw in requests
        for outer in pb.TxnRequest.FromString(raw).success
        for inner in outer.request_txn.success
    }
    assert len(puts) == 6000
    assert max(map(len, requests)) < 1_000_000
    address, record = prefill.lease(2999, 1_700_000_000)
    keys = Keys()
    assert decode_lease(puts[keys.lease("default", address)]) == record
    assert puts[keys.client("default", 1, record.client)] == b"%08x" % address

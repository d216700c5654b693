"""What becomes of a lease of a backup: every meeting of two records, against the one law that counts."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backup.made import DOCUMENT, NOW, POOL, lease
from everlease.backup.rules import ADDED, EXTENDED, KEPT, MOVED, SKIPPED, TAKEN, Rules, Times
from everlease.config.load import load
from everlease.core.lifecycle import BOUND, DECLINED, NOBODY, OFFERED, RELEASED, Lease, is_reusable
from everlease.store.api import KeyValue
from everlease.store.keys import Keys
from everlease.store.records import encode_lease, row_of
from everlease.store.view import View

TIMES = Times(NOW, NOW, 5.0)
CONFIG = load(DOCUMENT)
SHARED = load(
    "schema: 1\nsubnets:\n- {id: 1, prefix: 10.77.0.0/16}\n- {id: 2, prefix: 10.78.0.0/16}\n"
    "shared-networks: [{name: campus, subnets: [1, 2]}]\n"
)


def view_of(*there: tuple[int, Lease]) -> View:
    view = View(Keys(), NOW)
    for revision, (address, each) in enumerate(there, 10):
        view.apply(KeyValue(view.keys.lease("default", address), encode_lease(each), revision))
    return view


def judged(record: Lease, *there: tuple[int, Lease]) -> int:
    return Rules(view_of(*there), CONFIG).judge("default", POOL, record, TIMES).kind


@pytest.mark.parametrize(
    ("record", "there", "kind"),
    [
        (lease(1), None, ADDED),
        (lease(1), lease(1), KEPT),
        (lease(1, 900), lease(1, 1800), KEPT),
        (lease(1, 1800), lease(1, 900), EXTENDED),
        (lease(1), lease(1, -900), ADDED),
        (lease(1), lease(1, -900, RELEASED), ADDED),
        (lease(1), lease(1, 900, OFFERED), EXTENDED),
        (lease(1), lease(1, 900, DECLINED), KEPT),
        (lease(1), lease(2, 60), TAKEN),
        (lease(1), lease(2, -900), ADDED),
        (lease(1), lease(2, -2), TAKEN),
        (lease(1), lease(2, -900, RELEASED), ADDED),
        (lease(1), lease(2, 900, DECLINED), TAKEN),
        (lease(1, -900), None, ADDED),
        (lease(1, -900), lease(2, -900), SKIPPED),
        (lease(1, -900), lease(1, 900), SKIPPED),
        (lease(1, 30, OFFERED), None, SKIPPED),
        (lease(1, 900, DECLINED), None, ADDED),
        (lease(1, 900, DECLINED), lease(1, 60), KEPT),
        (lease(1, 900, DECLINED), lease(3, 60, DECLINED), KEPT),
        (lease(1, -60, RELEASED), None, ADDED),
    ],
)
def test_two_records_of_one_address_meet(record: Lease, there: Lease | None, kind: int) -> None:
    assert judged(record, *([(POOL, there)] if there is not None else [])) == kind


@pytest.mark.parametrize(
    ("record", "elsewhere", "kind"),
    [
        (lease(1), lease(1, 60), MOVED),
        (lease(1), lease(1, -60), ADDED),
        (lease(1), lease(1, -60, RELEASED), ADDED),
        (lease(1, -60), lease(1, 60), SKIPPED),
        (lease(1, -60), lease(1, -900), SKIPPED),
        (lease(1, 900, DECLINED), lease(1, 60), ADDED),
    ],
)
def test_the_client_has_another_record(record: Lease, elsewhere: Lease, kind: int) -> None:
    assert judged(record, (POOL + 7, elsewhere)) == kind


def test_a_binding_in_another_subnet_of_the_shared_network_stays() -> None:
    elsewhere = lease(1, 60)
    elsewhere.subnet = 2
    verdict = Rules(view_of((0x0A4E0009, elsewhere)), SHARED).judge("default", POOL, lease(1), TIMES)
    assert (verdict.kind, verdict.other) == (MOVED, 0x0A4E0009)
    assert Rules(view_of((0x0A4E0009, elsewhere)), CONFIG).judge("default", POOL, lease(1), TIMES).kind == ADDED


def test_a_change_names_all_that_its_rule_has_looked_at() -> None:
    view = view_of((POOL, lease(2, -900)), (POOL + 7, lease(1, -60)))
    change = Rules(view, CONFIG).judge("default", POOL, lease(1), TIMES).change
    assert change is not None
    assert (change.expected, change.indexes, change.puts_index) == (10, ((1, POOL + 7),), True)
    assert (change.displaced, change.seen) == ((lease(2).client, 1), ((POOL + 7, 11),))


def test_what_is_on_probation_is_written_in_nobodys_name_and_a_grant_never_in_the_future() -> None:
    verdict = Rules(view_of(), CONFIG).judge("default", POOL, lease(1, 900, DECLINED), TIMES)
    assert verdict.change is not None
    assert verdict.change.lease is not None
    assert (verdict.change.lease.client, verdict.change.puts_index) == (NOBODY, False)
    ahead = lease(1)
    ahead.granted_at = NOW + 10_000
    written = Rules(view_of(), CONFIG).judge("default", POOL, ahead, TIMES).change
    assert written is not None
    assert written.lease is not None
    assert written.lease.granted_at == NOW


LEASES = st.builds(
    lease, st.integers(1, 3), st.integers(-1000, 1000), st.sampled_from((OFFERED, BOUND, RELEASED, DECLINED))
)


@given(LEASES, st.dictionaries(st.integers(POOL, POOL + 2), LEASES, max_size=3))
@settings(deadline=None, max_examples=500)
def test_no_live_promise_is_shortened_and_none_is_made_twice(record: Lease, there: dict[int, Lease]) -> None:
    bound = [each.client for each in there.values() if each.state == BOUND]
    assume(len(bound) == len({*bound}))
    # As in any store (I8): a client has one binding, and that is its newest record.
    history = sorted(there.items(), key=lambda record: record[1].state == BOUND)
    change = Rules(view_of(*history), CONFIG).judge("default", POOL, record, TIMES).change
    if change is None:
        return
    assert change.lease is not None
    before = there.get(POOL)
    if before is not None and before.state != OFFERED and not is_reusable(row_of(before, 0), NOW, 0):
        assert before.client == change.lease.client
        assert before.state == change.lease.state
        assert before.expires_at < change.lease.expires_at
    elsewhere = [each for at, each in there.items() if at != POOL and each.client == change.lease.client]
    assert not any(each.state == BOUND and each.expires_at > NOW for each in elsewhere)

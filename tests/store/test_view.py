"""The view: whatever order the same records come in, it ends up the same."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everlease.core import actions
from everlease.core.actions import Change
from everlease.core.lifecycle import BOUND, DECLINED, NOBODY, OFFERED, RELEASED
from everlease.store import index
from everlease.store.api import KeyValue, Result
from everlease.store.keys import Keys, index_value
from everlease.store.leases import DECLINE, ENDED, GIVEN_BACK, GRACE, LEASED, OFFER
from everlease.store.records import Current, Presence, ReservationRecord, encode, encode_lease
from everlease.store.view import View
from store.makers import ALICE, BOB, CAROL, NOW, grant, lease, move, offer

KEYS = Keys()
A, B = 0x0A4D0001, 0x0A4D0002
BLOCK = A >> 8


def record(address: int, revision: int, client: bytes = ALICE, state: int = BOUND, valid: int = 3600) -> KeyValue:
    value = encode_lease(lease(client, state, nonce=revision, valid=valid))
    return KeyValue(KEYS.lease("default", address), value, revision, 1)


def gone(address: int, revision: int) -> KeyValue:
    return KeyValue(KEYS.lease("default", address), None, revision)


def new_view(now: float = NOW) -> View:
    return View(KEYS, now)


def picture(view: View) -> object:
    """All that core can see of it."""
    rows = {address: view.row("default", address) for address in range(A, A + 8)}
    index = {client: view.address_of("default", 1, client) for client in (ALICE, BOB, CAROL)}
    return rows, index, view.taken("default", BLOCK), view.usage.of(1), view.used(1)


clients = st.sampled_from([ALICE, BOB, CAROL])
events = st.lists(
    st.tuples(st.integers(0, 3), clients, st.sampled_from([BOUND, RELEASED, DECLINED, None]))
    | st.tuples(st.integers(4, 6), clients, st.sampled_from([OFFERED, None])),
    max_size=14,
)


def history(steps: list[tuple[int, bytes, int | None]]) -> list[KeyValue]:
    return [
        gone(A + at, revision) if state is None else record(A + at, revision, client, state)
        for revision, (at, client, state) in enumerate(steps, 10)
    ]


@given(events, st.randoms(use_true_random=False))
def test_any_order_and_duplication_of_events_gives_the_same_view(
    steps: list[tuple[int, bytes, int | None]], chance: random.Random
) -> None:
    told = history(steps)
    straight, mixed = new_view(), new_view()
    for event in told:
        straight.apply(event)
    shuffled = told + chance.choices(told, k=len(told) // 2) if told else []
    chance.shuffle(shuffled)
    for event in shuffled:
        mixed.apply(event)
    for event in told:  # the watch brings everything in the end
        mixed.apply(event)
    assert picture(mixed) == picture(straight)


@given(events, st.integers(0, 14))
def test_a_reload_in_place_gives_the_same_view_as_a_load(steps: list[tuple[int, bytes, int | None]], cut: int) -> None:
    told = history(steps)
    now: dict[bytes, KeyValue] = {}
    for event in told:
        now[event.key] = event
    there = [event for event in now.values() if event.value is not None]
    old, fresh = new_view(), new_view()
    for event in told[:cut]:
        old.apply(event)
    for view in (old, fresh):
        listing = view.begin(10 + len(told))
        view.listed(listing, there)
        list(view.finish(listing))
    assert picture(old) == picture(fresh)


def test_an_older_event_does_not_resurrect_what_was_deleted() -> None:
    view = new_view()
    view.apply(record(A, 10))
    view.removed("default", A, 12)
    assert not view.apply(record(A, 11))
    assert view.row("default", A) is None
    view.passed(12)
    assert view.apply(record(A, 13))


def test_a_listing_does_not_resurrect_what_was_deleted_while_it_was_read() -> None:
    view = new_view()
    view.apply(record(A, 10))
    listing = view.begin(11)
    view.apply(gone(A, 12))
    view.passed(12)
    view.listed(listing, [record(A, 10)])
    list(view.finish(listing))
    assert view.row("default", A) is None
    assert view.revision == 12


def test_a_reload_keeps_what_is_newer_than_the_listing() -> None:
    view = new_view()
    view.apply(record(A, 10))
    listing = view.begin(11)
    view.apply(record(B, 12, BOB))
    list(view.finish(listing))
    assert view.row("default", A) is None
    assert view.row("default", B) is not None


def test_own_commits_are_seen_at_once_and_their_echo_changes_nothing() -> None:
    view = new_view()
    change = grant(A)
    view.committed(change, 10)
    before = picture(view)
    assert view.address_of("default", 1, ALICE) == A
    assert not view.apply(KeyValue(KEYS.lease("default", A), encode_lease(change.lease), 10, 1))
    assert picture(view) == before


def test_a_move_leaves_the_index_at_the_new_address_and_frees_the_old_one() -> None:
    view = new_view()
    view.committed(grant(A), 10)
    view.committed(move(B, ALICE, A, 10), 11)
    assert view.address_of("default", 1, ALICE) == B
    assert view.row("default", A).state == RELEASED
    assert view.taken("default", BLOCK) == 1 << (B & 255)
    view.apply(gone(B, 12))
    assert view.address_of("default", 1, ALICE) == A


def test_an_offer_does_not_touch_the_clients_index() -> None:
    view = new_view()
    view.committed(grant(A), 10)
    view.committed(offer(B), 11)
    assert view.address_of("default", 1, ALICE) == A
    view.committed(offer(A, expected=10), 12)
    assert view.address_of("default", 1, ALICE) == A


def test_an_offer_counts_for_nothing_once_its_client_is_bound_to_another_address() -> None:
    view = new_view()
    view.apply(record(A, 10, state=OFFERED, valid=30))
    view.apply(record(A + 1, 11, state=OFFERED, valid=30))
    assert view.taken("default", BLOCK) >> (A & 255) & 3 == 3
    view.apply(record(A, 12))
    assert view.taken("default", BLOCK) >> (A & 255) & 3 == 1
    assert (view.usage.of(1)[OFFER], view.usage.of(1)[ENDED], view.used(1)) == (0, 1, 1)
    view.apply(record(A, 13, state=RELEASED))  # it begins anew: what it was offered stands until its end
    assert view.taken("default", BLOCK) >> (A & 255) & 3 == 2
    view.advance(NOW + 30 + 600 + 130)
    assert view.used(1) == 0


def test_an_offer_that_is_newer_than_the_clients_binding_keeps_its_address() -> None:
    view = new_view()
    view.apply(record(A, 10))
    view.apply(record(A + 1, 11, state=OFFERED, valid=30))
    view.apply(record(A + 2, 12, client=BOB))
    assert view.taken("default", BLOCK) >> (A & 255) & 7 == 7
    view.apply(gone(A + 1, 13))
    view.apply(record(A, 14))
    assert view.used(1) == 2


def test_a_record_in_nobodys_name_has_no_index_entry_and_takes_that_of_who_had_the_address() -> None:
    view = new_view()
    view.committed(grant(A), 10)
    stranger = Change(actions.DECLINE, "default", A, 1, NOBODY, 10, lease(NOBODY, DECLINED), displaced=(ALICE, 1))
    view.committed(stranger, 11)
    assert view.address_of("default", 1, ALICE) == 0
    assert view.address_of("default", 1, NOBODY) == 0
    assert view.usage.of(1)[3] == 1
    view.committed(grant(A, BOB, 11), 12)
    assert view.address_of("default", 1, BOB) == A


def test_a_displaced_holder_loses_its_index_entry() -> None:
    view = new_view()
    view.committed(grant(A, ALICE), 10)
    change = grant(A, BOB, 10)
    change.displaced = (ALICE, 1)
    view.committed(change, 11)
    assert view.address_of("default", 1, ALICE) == 0
    assert view.address_of("default", 1, BOB) == A


def test_the_failure_branch_corrects_rows_and_index() -> None:
    view = new_view()
    view.committed(grant(A), 10)
    names = (KEYS.lease("default", A), KEYS.client("default", 1, ALICE), KEYS.client("default", 1, BOB))
    found = [record(A, 11, BOB), KeyValue(names[2], index_value(A), 11, 1)]
    view.refresh(names, Result(False, found), 12)
    assert view.row("default", A).client == BOB
    assert view.address_of("default", 1, ALICE) == 0
    assert view.address_of("default", 1, BOB) == A
    view.refresh(names[:1], Result(False, []), 13)
    assert view.row("default", A) is None


def test_an_address_is_taken_until_its_end_and_the_margin_have_passed() -> None:
    view = new_view()
    view.apply(record(A, 10))
    end = view.row("default", A).expires_at
    assert view.usage.of(1)[LEASED] == 1
    view.advance(NOW + 3601 + 8)
    assert view.usage.of(1)[GRACE] == 1
    view.advance(end + 4.9)
    assert view.taken("default", BLOCK) == 1 << (A & 255)
    view.advance(end + 5 + 8)
    assert view.taken("default", BLOCK) == 0
    assert view.used(1) == 0
    assert view.usage.of(1)[ENDED] == 1
    assert view.row("default", A) is not None


def test_a_renewed_lease_outlives_its_old_entry_in_the_schedule() -> None:
    view = new_view()
    view.apply(record(A, 10, valid=60))
    view.apply(record(A, 11, valid=3600))
    view.advance(NOW + 600)
    assert view.usage.of(1)[LEASED] == 1


def test_a_greater_margin_keeps_what_has_not_been_freed() -> None:
    view = new_view()
    view.apply(record(A, 10))
    view.configure(120.0, None)
    view.advance(NOW)
    end = view.row("default", A).expires_at
    view.advance(end + 60)
    assert view.used(1) == 1
    view.advance(end + 130)
    assert view.used(1) == 0


def test_every_state_counts_as_itself() -> None:
    view = new_view()
    for offset, state in enumerate((BOUND, OFFERED, DECLINED, RELEASED)):
        view.apply(record(A + offset, 10, state=state))
    counts = view.usage.of(1)
    assert [counts[kind] for kind in (LEASED, GRACE, OFFER, DECLINE, GIVEN_BACK)] == [1, 0, 1, 1, 1]
    assert view.used(1) == 3


def test_a_full_block_is_said_to_be_full_until_one_address_is_free() -> None:
    view = new_view()
    for address in range(BLOCK << 8, (BLOCK + 1) << 8):
        view.apply(record(address, 10, b"\x01%d" % address))
    assert view.full("default", BLOCK >> 8) == 1 << (BLOCK & 255)
    view.apply(gone(A, 11))
    assert view.full("default", BLOCK >> 8) == 0


def test_advance_works_in_slices() -> None:
    view = new_view()
    for address in range(A, A + 50):
        view.apply(record(address, 10, b"\x01%d" % address, OFFERED, valid=30))
    assert view.advance(NOW + 10_000, limit=20)
    assert view.used(1) == 30
    while view.advance(NOW + 10_000, limit=20):
        pass
    assert view.used(1) == 0


def test_a_record_that_cannot_be_read_keeps_its_address_from_everybody() -> None:
    view = new_view()
    view.apply(KeyValue(KEYS.lease("default", A), b"{nonsense", 10, 1))
    assert view.unreadable == 1
    view.advance(NOW + 10**9)
    assert view.taken("default", BLOCK) == 1 << (A & 255)


def test_presence_and_configuration_are_told_once_per_revision() -> None:
    view = new_view()
    told: list[object] = []
    view.on_presence = lambda name, peer: told.append((name, peer.version if peer else None))
    view.on_config = lambda current, revision: told.append((current and current.revision, revision))
    presence = KeyValue(KEYS.node("n1"), encode(Presence("boot", 1, "serving", 1.0)), 5, 3)
    current = KeyValue(KEYS.config_current, encode(Current(7, 1)), 6, 1)
    for event in (presence, presence, current, current, KeyValue(KEYS.node("n1"), None, 8), presence):
        view.apply(event)
    assert told == [("n1", 3), (7, 6), ("n1", None)]
    assert (view.config_revision, view.nodes) == (6, {})


def test_reservations_are_found_by_address_and_by_identifier() -> None:
    view = new_view()
    value = encode(ReservationRecord("hw-address", "01020000000001", 1, address="10.77.0.1"))
    key = KEYS.reservation("default", A)
    view.apply(KeyValue(key, value, 5, 1))
    identifier = bytes.fromhex("01020000000001")
    assert view.reservation_at("default", A).revision == 5
    assert view.reservation_of("default", 1, "hw-address", identifier, 0).address == A
    assert view.reserved("default", BLOCK) == 1 << (A & 255)
    view.apply(KeyValue(key, None, 6))
    assert view.reservation_at("default", A) is None
    assert view.reserved("default", BLOCK) == 0
    view.apply(KeyValue(key, value, 5, 1))
    assert view.reservation_at("default", A) is None


def test_a_rollback_turns_the_view_into_ghosts() -> None:
    view = new_view()
    view.apply(record(A, 10))
    ghosts = view.roll_back()
    assert ghosts[("default", A)].client == ALICE
    assert ghosts.get(("default", B)) is None
    assert len(ghosts) == 1 and list(ghosts) == [("default", A)]
    assert view.row("default", A) is None and view.used(1) == 0
    view.apply(record(B, 3, BOB))
    assert len(view.roll_back()) == 2


def test_many_clients_of_one_subnet_are_found_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "LARGE", 100)
    view = new_view()
    clients = {A + number: b"\x01%d" % number for number in range(1000)}
    for revision, (address, client) in enumerate(clients.items(), 1):
        view.apply(record(address, revision, client))
    for address in list(clients)[::3]:
        view.apply(gone(address, 2000))
        del clients[address]
    assert {view.address_of("default", 1, client) for client in clients.values()} == set(clients)
    assert view.address_of("default", 1, b"\x010") == 0


def test_rows_may_change_while_they_are_walked() -> None:
    view = new_view()
    addresses = [(10 << 24) + 5000 * number for number in range(100)]
    for revision, address in enumerate(addresses, 1):
        view.apply(record(address, revision))
    met = []
    for address in view.rows("default"):
        met.append(address)
        view.apply(gone(address, 1000))
        view.apply(record(address + 1, 1000))
    assert set(addresses) <= set(met)
    assert sorted(view.rows("default")) == [address + 1 for address in addresses]
    assert len(view) == len(addresses)

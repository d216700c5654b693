"""What etcd holds, revision by revision: I6, I8, I9, I15, I16.

Law: every revision counts, for a transaction has one: what is torn or double after any of them is a bug, even if the
next one mends it. The time of a commit is taken as late as it can have been where that excuses, and never otherwise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from everlease.core.lifecycle import BOUND, DECLINED, INFINITE, OFFERED, STATE_NAMES, Lease
from everlease.store.records import dotted
from faults.history.model import History, Violation
from faults.history.replay import Change, State, changes, states

SECOND = 1.0
"""Records have whole seconds, rounded; a step of a second says nothing."""

OFFER_HELD = 30.0
"""Default of offer-lifetime."""


def one_binding_for_each_client(history: History) -> Iterator[Violation]:
    """I6: at any revision a client has at most one binding that has not ended in a subnet."""
    bound: dict[tuple[str, int, bytes], dict[int, Lease]] = defaultdict(dict)
    era = 0
    for state in states(history):
        if state.last is not None and state.last.era != era:
            bound.clear()  # a snapshot was restored: what came after it never was
            era = state.last.era
        for change in state.changes:
            for lease in _both(change):
                bound[change.place[0], lease.subnet, lease.client].pop(change.place[1], None)
        granted = [change for change in state.changes if change.after is not None and change.after.state == BOUND]
        for change in granted:
            assert change.after is not None
            bound[change.place[0], change.after.subnet, change.after.client][change.place[1]] = change.after
        for change in granted:
            assert change.after is not None
            mine, at = bound[change.place[0], change.after.subnet, change.after.client], change.commit.at
            others = [dotted(address) for address, lease in mine.items() if lease.expires_at > at]
            if len(others) > 1:
                where = f"at {change.commit.revision}{history.faults_at(at)}"
                yield Violation("I6", at, f"{change.after.client.hex()} has {', '.join(others)} {where}")


def conservation(history: History) -> Iterator[Violation]:
    """I8: records, indexes and counters agree after each revision, and every address lies in a pool or is reserved."""
    for state in states(history):
        commit = state.last
        assert commit is not None
        problems = [*_torn(state), *_miscounted(state), *_outside(history, state)]
        problems += [f"{bad.key} cannot be read" for bad in state.unreadable]
        for problem in problems:
            yield Violation("I8", commit.at, f"{problem}, at {commit.revision}{history.faults_at(commit.at)}")


def _torn(state: State) -> Iterator[str]:
    """A binding that its client's index does not name, an entry that names nothing of its client's."""
    for change in state.changes:
        lease = state.leases.get(change.place)
        if lease is not None and lease.state == BOUND:
            space, address = change.place
            named = state.index.get((space, lease.subnet, lease.client))
            if named != address:
                yield f"{change.address} is bound to {lease.client.hex()}, whose index names {dotted(named or 0)}"
    touched = {(change.place[0], lease.subnet, lease.client) for change in state.changes for lease in _both(change)}
    for entry in touched.union(state.entries):
        address = state.index.get(entry, 0)
        lease = state.leases.get((entry[0], address))
        if address and (lease is None or lease.client != entry[2]):
            yield f"the index of {entry[2].hex()} names {dotted(address)}, which is not its"


def _both(change: Change) -> list[Lease]:
    return [lease for lease in (change.before, change.after) if lease is not None]


def _miscounted(state: State) -> Iterator[str]:
    """A counter that is kept in the store, /x/counters/SPACE/4/SUBNET, is the number of that subnet's bindings."""
    for key, value in state.counters.items():
        space, _, subnet = key.rpartition("/x/counters/")[2].split("/")
        bound = sum(
            place[0] == space and lease.subnet == int(subnet) and lease.state == BOUND
            for place, lease in state.leases.items()
        )
        if value and int(value) != bound:
            yield f"{key} says {value}, and {bound} addresses are bound"


def _outside(history: History, state: State) -> Iterator[str]:
    config = history.config
    for change in state.changes:
        lease = change.after
        if config is None or lease is None or (subnet := config.subnets.get(lease.subnet)) is None:
            continue  # a subnet of a later document
        address = change.place[1]
        pooled = any(first <= address <= last for pool in subnet.pools for first, last in pool.ranges)
        if lease.state in (OFFERED, BOUND) and not pooled and address not in subnet.reserved:
            yield f"{change.address} is {STATE_NAMES[lease.state]}, and in no pool of subnet {subnet.id}"


def expiry_is_monotone(history: History) -> Iterator[Violation]:
    """I9: a renewal never ends before what was committed; only release, decline or an operator shortens."""
    for change in changes(history):
        before, after = change.before, change.after
        if before is None or after is None or not before.state == after.state == BOUND:
            continue
        if after.client == before.client and after.expires_at < before.expires_at and before.valid != INFINITE:
            at, lost = change.commit.at, before.expires_at - after.expires_at
            yield Violation("I9", at, f"{change.address} ends {lost} s earlier than before{history.faults_at(at)}")


def expiry_is_not_early(history: History) -> Iterator[Violation]:
    """I15: an address passes to another client only after its stored expiry and the clock margin, or a release; one on
    offer also when the offer was void (`Offers`)."""
    released = {(address, at) for at, address in history.marks("released")}
    offers = Offers()
    for change in changes(history):
        before, after = change.before, change.after
        ends_void_offer = offers.is_void(change)
        offers.note(change)
        if (
            ends_void_offer
            or before is None
            or before.state not in (OFFERED, BOUND)
            or before.client == (after and after.client)
        ):
            continue
        free_at = before.expires_at + history.margin
        if any(address == change.address and at <= change.commit.at for address, at in released):
            continue
        if before.state == OFFERED and after is not None and after.state == DECLINED:
            continue  # a stranger answers at an address on offer
        if change.commit.at < free_at - SECOND:
            at, to = change.commit.at, after.client.hex() if after is not None else "nobody"
            early = f"{free_at - at:.1f} s too early"
            yield Violation("I15", at, f"{change.address} of {before.client.hex()} went to {to} {early}")


class Offers:
    """Since when addresses are on offer, and what is known of those who had them or could have had them."""

    def __init__(self) -> None:
        self._bound: dict[tuple[str, int, bytes], tuple[int, int]] = {}
        self._offered: dict[tuple[str, int], int] = {}
        self._put_back: set[tuple[str, int]] = set()
        self._holder: dict[tuple[str, int], bytes] = {}

    def is_void(self, change: Change) -> bool:
        """Whether it ends an offer that was none any more: its client was bound to another address since it was made,
        or it stood in a snapshot that was restored, and its address goes back to who had it afterwards."""
        offer, after = change.before, change.after
        if offer is None or offer.state != OFFERED:
            return False
        if after is not None and change.place in self._put_back and after.client == self._holder.get(change.place):
            return True
        address, since = self._bound.get((change.place[0], offer.subnet, offer.client), (0, 0))
        return address not in (0, change.place[1]) and since > self._offered.get(change.place, 0)

    def note(self, change: Change) -> None:
        """The next change, in the order of revisions."""
        after, place, commit = change.after, change.place, change.commit
        self._put_back.discard(place)
        if after is None:
            return
        if after.state == BOUND:
            self._bound[place[0], after.subnet, after.client] = place[1], commit.revision
            self._holder[place] = after.client
        if after.state == OFFERED:
            self._offered[place] = commit.revision
            self._put_back |= {place} if commit.listed else set()


def expiry_is_not_never(history: History) -> Iterator[Violation]:
    """I16: an offer holds no longer than its lifetime; after a mark "emptied" nothing is leased or offered any more."""
    last: dict[tuple[str, int], Change] = {}
    held = (history.config and history.config.parameters.offer_lifetime) or OFFER_HELD
    for change in changes(history):
        last[change.place] = change
        after = change.after
        if after is not None and after.state == OFFERED and after.expires_at > change.commit.at + held + SECOND:
            yield Violation("I16", change.commit.at, f"{change.address} is on offer until {after.expires_at}")
    for at, _ in history.marks("emptied"):
        for change in last.values():
            lease = change.after
            if lease is not None and lease.state in (OFFERED, BOUND) and lease.expires_at > at:
                yield Violation(
                    "I16", at, f"{change.address} is still {STATE_NAMES[lease.state]} for {lease.client.hex()}"
                )

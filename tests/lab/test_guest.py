"""Clients as a state machine: when they ask again, with which xid, by which way; and that they give up in the end."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

from everlease.wire import v4
from lab.guest import (
    BOUND,
    FRESH,
    GONE,
    PATIENT,
    QUICK,
    QUICK_FRESH,
    REBINDING,
    REBOOTING,
    RENEWING,
    REQUESTING,
    SELECTING,
    Behaviour,
    Guest,
)

MAC, ADDRESS, SERVER = b"\x02\xd0\0\0\0\1", 0x0A4D1001, 0x0A4D0002
LIFETIME = 600


def guest_of(behaviour: Behaviour = PATIENT, seed: int = 1) -> Guest:
    guest = Guest(MAC, behaviour, Random(seed))
    guest.begin(SELECTING, 1000.0)
    return guest


def reply(guest: Guest, kind: int, address: int = ADDRESS) -> v4.Packet:
    options = {53: bytes([kind]), 54: SERVER.to_bytes(4, "big"), 51: LIFETIME.to_bytes(4, "big")}
    return v4.Packet(op=v4.BOOTREPLY, xid=guest.xid, chaddr=MAC, yiaddr=address, options=options)


def bound(behaviour: Behaviour = PATIENT) -> Guest:
    guest = guest_of(behaviour)
    guest.speak(1000.0)
    assert guest.hear(reply(guest, v4.OFFER), 1000.1) == "OFFER"
    guest.speak(1000.1)
    assert guest.hear(reply(guest, v4.ACK), 1000.2) == "ACK"
    return guest


def copies(guest: Guest, count: int) -> list[tuple[float, v4.Packet]]:
    """The next messages that nobody answers, each with its time."""
    said = []
    for _ in range(count):
        now = guest.due
        said.append((now, guest.speak(now)))
    return said


@pytest.mark.parametrize("behaviour", [PATIENT, FRESH, QUICK, QUICK_FRESH], ids=lambda behaviour: behaviour.name)
def test_a_client_asks_again_at_its_own_times_with_its_own_xid_and_secs(behaviour: Behaviour) -> None:
    said = copies(guest_of(behaviour), 5)
    waits = [later - earlier for (earlier, _), (later, _) in pairwise(said)]
    expected = [*behaviour.waits, behaviour.waits[-1]]
    assert all(abs(wait - wanted) <= behaviour.jitter for wait, wanted in zip(waits, expected, strict=True))
    assert len({packet.xid for _, packet in said}) == (5 if behaviour.fresh_xid else 1)
    counted = [packet.secs for _, packet in said]
    assert counted == ([int(at - 1000.0) for at, _ in said] if behaviour.counts_secs else [0] * 5)


def test_the_same_seed_is_the_same_client() -> None:
    one, two, other = (copies(guest_of(FRESH, seed), 4) for seed in (1, 1, 2))
    assert one == two
    assert one != other


def test_the_first_offer_is_taken_and_others_are_not_heard() -> None:
    guest = guest_of()
    guest.speak(1000.0)
    assert guest.hear(reply(guest, v4.OFFER), 1000.1) == "OFFER"
    assert guest.hear(reply(guest, v4.OFFER, ADDRESS + 1), 1000.2) == ""
    request = guest.speak(1000.2)
    assert (request.options[50], request.options[54]) == (ADDRESS.to_bytes(4, "big"), SERVER.to_bytes(4, "big"))
    assert guest.hear(replace(reply(guest, v4.ACK), xid=guest.xid ^ 1), 1000.3) == ""
    assert guest.state == REQUESTING


def test_a_bound_client_renews_at_t1_with_its_server_rebinds_at_t2_and_begins_again_at_the_end() -> None:
    guest = bound()
    assert 0.9 * LIFETIME / 2 <= guest.due - 1000.1 <= LIFETIME / 2
    lived: dict[str, float] = {}
    while SELECTING not in lived:
        now = guest.due
        guest.speak(now)
        lived.setdefault(guest.state, now)
    assert list(lived) == [RENEWING, REBINDING, SELECTING]
    assert abs(lived[REBINDING] - (1000.1 + LIFETIME * 0.875)) < 0.01
    assert 0 <= lived[SELECTING] - (1000.1 + LIFETIME) <= 17
    assert guest.ack is None


def test_an_unanswered_request_and_a_refused_one_begin_again() -> None:
    guest = bound()
    guest.begin(REBOOTING, 2000.0)
    kinds = [packet.message_type for _, packet in copies(guest, 7)]
    assert kinds[0] == v4.REQUEST
    assert kinds[-1] == v4.DISCOVER
    refused = bound()
    refused.begin(REBOOTING, 2000.0)
    refused.speak(2000.0)
    assert refused.hear(reply(refused, v4.NAK), 2000.1) == "NAK"
    assert (refused.state, refused.ack, refused.naks) == (SELECTING, None, 1)


def test_a_client_leaves_with_a_release_or_without_and_declines_what_is_in_use() -> None:
    leaving = bound(QUICK)
    farewell = leaving.leave(1100.0, releases=True)
    assert farewell is not None
    assert (farewell.message_type, farewell.ciaddr, farewell.options[61]) == (v4.RELEASE, ADDRESS, b"\x01" + MAC)
    assert leaving.state == GONE
    assert bound().leave(1100.0, releases=False) is None
    declining = bound()
    assert declining.state == BOUND
    assert declining.decline(1100.0).options[50] == ADDRESS.to_bytes(4, "big")
    assert (declining.state, declining.due, declining.ack) == (SELECTING, 1110.0, None)

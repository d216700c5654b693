"""The account of a run counts clients, not packets, and gives each to the second in which it asked first."""

from __future__ import annotations

import math

import pytest

from everlease.wire import v4
from incident.account import PATIENCE_S, Accountant, by_second, share
from lab.capture import Captured

PRIMARY, STANDBY = 0x0A400001, 0x0A400002
ALICE, BOB = b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02"


def seen(
    at: float, kind: int, client: bytes, xid: int = 1, *, source: int = 0, ciaddr: int = 0, yiaddr: int = 0
) -> Captured:
    op = v4.BOOTREPLY if kind in (v4.OFFER, v4.ACK, v4.NAK) else v4.BOOTREQUEST
    packet = v4.Packet(op=op, xid=xid, chaddr=client, ciaddr=ciaddr, yiaddr=yiaddr, options={53: bytes([kind])})
    return Captured(at, False, (b"", b""), source, 0, (67, 67), b"", packet)


def test_a_new_client_is_one_question_from_its_discover_to_its_ack_whatever_xids_it_used() -> None:
    account = Accountant().take(
        [
            seen(10.0, v4.DISCOVER, ALICE, xid=1),
            seen(10.1, v4.OFFER, ALICE, xid=1, source=STANDBY),
            seen(10.2, v4.REQUEST, ALICE, xid=2),
            seen(11.5, v4.ACK, ALICE, xid=2, source=PRIMARY, yiaddr=7),
            seen(11.6, v4.ACK, ALICE, xid=2, source=STANDBY, yiaddr=7),
        ]
    )
    (question,) = account.questions
    assert (question.asked, question.by, question.renewal) == (10.0, PRIMARY, False)
    assert question.after == pytest.approx(1.5)


def test_an_offer_alone_is_no_answer() -> None:
    account = Accountant().take(
        [seen(0, v4.DISCOVER, ALICE), seen(0.1, v4.OFFER, ALICE, source=PRIMARY), seen(0.2, v4.REQUEST, ALICE)]
    )
    assert share(account.questions) == 0.0


def test_each_renewal_is_a_question_of_its_own_and_its_own_ack_answers_it() -> None:
    account = Accountant().take(
        [
            seen(0, v4.REQUEST, ALICE, xid=1, ciaddr=7),
            seen(5, v4.REQUEST, ALICE, xid=2, ciaddr=7),
            seen(5.1, v4.ACK, ALICE, xid=2, source=PRIMARY, yiaddr=7),
        ]
    )
    assert [(question.renewal, question.by) for question in account.questions] == [(True, 0), (True, PRIMARY)]


def test_an_ack_that_comes_when_the_client_would_have_asked_again_is_too_late() -> None:
    late = PATIENCE_S + 0.01
    account = Accountant().take(
        [seen(0, v4.REQUEST, ALICE, ciaddr=7), seen(late, v4.ACK, ALICE, source=PRIMARY, yiaddr=7)]
    )
    assert not account.questions[0].answered
    assert by_second(account, 0.0, range(1))[0].silent == 1


def test_a_nak_is_counted_and_answers_nothing() -> None:
    account = Accountant().take([seen(0, v4.REQUEST, ALICE, ciaddr=7), seen(0.1, v4.NAK, ALICE, source=PRIMARY)])
    assert (account.naks, share(account.questions)) == (1, 0.0)


def test_an_address_acknowledged_to_two_clients_is_noticed() -> None:
    account = Accountant().take(
        [
            seen(0, v4.REQUEST, ALICE, ciaddr=7),
            seen(0.1, v4.ACK, ALICE, source=PRIMARY, yiaddr=7),
            seen(0.2, v4.REQUEST, BOB, ciaddr=7),
            seen(0.3, v4.ACK, BOB, source=STANDBY, yiaddr=7),
        ]
    )
    assert account.twice == 1


def test_seconds_are_counted_from_the_fault_and_say_who_answered() -> None:
    account = Accountant().take(
        [
            seen(99.5, v4.REQUEST, ALICE, xid=1, ciaddr=7),
            seen(99.6, v4.ACK, ALICE, xid=1, source=PRIMARY, yiaddr=7),
            seen(100.5, v4.REQUEST, ALICE, xid=2, ciaddr=7),
            seen(100.6, v4.REQUEST, BOB, xid=3, ciaddr=8),
            seen(101.7, v4.ACK, BOB, xid=3, source=STANDBY, yiaddr=8),
        ]
    )
    rows = by_second(account, 100.0, range(-1, 2))
    assert [(row.number, row.asked, dict(row.answered), row.silent) for row in rows] == [
        (-1, 1, {PRIMARY: 1}, 0),
        (0, 2, {STANDBY: 1}, 1),
        (1, 0, {}, 0),
    ]


def test_of_no_question_no_share_is_claimed() -> None:
    assert math.isnan(share([]))

"""What clients lived through is read from packets alone."""

from __future__ import annotations

from faults import exchanges
from faults.exchanges import KNOWN, NEW
from faults.history.events import Packet

EVERYBODY, SERVER, OTHER = "255.255.255.255", "10.77.0.2", "10.77.0.3"


def said(at: float, kind: str, mac: str = "a", to: str = EVERYBODY, giaddr: str = "") -> Packet:
    server = "" if kind in ("DISCOVER", "REQUEST") else SERVER
    return Packet(at, "here", kind, mac, mac, 1, destination=to, giaddr=giaddr, server=server)


def test_a_client_that_repeats_nothing_needed_one_try() -> None:
    (told,) = exchanges.read([said(1, "DISCOVER"), said(1.1, "OFFER"), said(1.2, "REQUEST"), said(1.3, "ACK")])
    assert (told.kind, told.asked, told.bound, told.tries) == (NEW, 1, 1.3, 1)


def test_each_copy_of_either_message_is_a_try_more_and_a_relays_copy_is_none() -> None:
    (told,) = exchanges.read(
        [
            *(said(1, "DISCOVER"), said(1, "DISCOVER", giaddr="10.91.0.1"), said(5, "DISCOVER"), said(5.1, "OFFER")),
            *(said(5.2, "REQUEST"), said(9, "REQUEST"), said(9.1, "ACK")),
        ]
    )
    assert told.tries == 3


def test_a_client_that_reboots_while_it_renews_has_not_asked_twice() -> None:
    (told,) = exchanges.read([said(1, "REQUEST", to=SERVER), said(1.01, "REQUEST"), said(1.02, "ACK")])
    assert told.tries == 1


def test_what_a_bound_client_asks_is_another_exchange_and_an_unanswered_one_stays_open() -> None:
    first, second = exchanges.read([said(1, "DISCOVER"), said(2, "ACK"), said(9, "REQUEST", to=SERVER)])
    assert (second.kind, second.server, second.bound) == (KNOWN, SERVER, 0.0)
    assert first.kind == NEW


def test_a_renewal_is_alone_when_its_server_says_nothing_to_anybody() -> None:
    living = [said(0.8, "ACK", "c"), said(1, "REQUEST", to=SERVER), said(1.5, "ACK", "c")]
    dead = [said(2, "REQUEST", "b", to=OTHER)]
    recovering = [said(3, "REQUEST", "d", to=SERVER), said(3.5, "ACK", "c")]  # it was dead when it was asked
    told = exchanges.read([*living, *dead, *recovering])
    assert [each.alone for each in told] == [False, True, True]


def test_a_refusal_is_counted_and_does_not_end_the_exchange() -> None:
    (told,) = exchanges.read([said(1, "REQUEST"), said(1.1, "NAK"), said(2, "DISCOVER"), said(2.1, "ACK")])
    assert (told.naks, told.bound) == (1, 2.1)


def test_the_longest_stall_is_told_with_its_beginning() -> None:
    told = exchanges.read([said(1, "DISCOVER"), said(1.5, "ACK"), said(2, "REQUEST"), said(4, "ACK")])
    assert exchanges.stall(told, 1, 5) == (2.5, 1.5)
    assert exchanges.seconds(told, 1.0) == [(0, 1, 1), (1, 1, 0), (2, 0, 0), (3, 0, 1)]
    assert exchanges.tries(told) == {1: 2}

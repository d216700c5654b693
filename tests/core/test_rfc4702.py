"""RFC 4702: what a server that updates no DNS record answers to a client's FQDN (option 81), by section."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from core.world import bind, message, subnet, world
from everlease.core.model import SEND_ALWAYS, OptionValue, Parameters
from everlease.wire import v4
from everlease.wire.hostname import CANONICAL, NO_UPDATES, OVERRIDDEN, SERVER_UPDATES, build_fqdn, parse_fqdn

S, O, E, N = SERVER_UPDATES, OVERRIDDEN, CANONICAL, NO_UPDATES  # noqa: E741  (the RFC's letters)
NAME = b"\4host\7example\3org\0"


def offered(data: bytes | None, **more: object) -> v4.Packet:
    """The OFFER to a DISCOVER that carries this option 81."""
    options = more.pop("options", {})
    assert isinstance(options, dict)
    answer = world().answer(message(v4.DISCOVER, options=options | ({81: data} if data is not None else {}), **more))
    assert isinstance(answer, v4.Packet)
    return answer


@pytest.mark.parametrize(
    ("asked", "told"),
    [(E, E | N), (E | S, E | O | N), (E | N, E | N), (0, N), (S, O | N), (N, N)],
)
def test_2_1_flags_say_that_this_server_updates_nothing(asked: int, told: int) -> None:
    data = bytes((asked, 0, 0)) + (NAME if asked & E else b"host.example.org.")
    flags = offered(data).options[81][0]
    assert flags == told
    assert bool(flags & O) == bool(asked & S)  # O: the S bit differs from the client's
    assert not (flags & N and flags & S)  # "If the N bit is 1, the S bit MUST be 0"


def test_2_1_flags_that_must_be_zero_are_zero() -> None:
    assert offered(b"\xf4\0\0" + NAME).options[81][0] == E | N
    assert offered(b"\x06\0\0" + NAME).options[81][0] == E | N  # a client never sets O


def test_2_2_both_rcodes_are_255() -> None:
    assert offered(b"\4\0\0" + NAME).options[81][1:3] == b"\xff\xff"


@pytest.mark.parametrize("data", [b"\4\0\0" + NAME, b"\0\0\0host.example.org.", b"\4\0\0\4host", b"\0\0\0host"])
def test_2_3_the_name_comes_back_in_the_form_in_which_the_client_wrote_it(data: bytes) -> None:
    assert offered(data).options[81][3:] == data[3:]


def test_2_3_a_client_without_a_name_is_answered_without_one() -> None:
    assert offered(b"\4\0\0").options[81] == b"\x0c\xff\xff"
    assert offered(b"\0\0\0").options[81] == b"\x08\xff\xff"


def test_a_name_that_is_none_comes_back_cleaned() -> None:
    told = parse_fqdn(offered(b"\0\0\0John's PC").options[81])
    assert (told.name, told.partial) == ("John-s-PC", True)
    assert offered(b"\4\0\0\3$$$\0").options[81] == b"\x0c\xff\xff"


@pytest.mark.parametrize("data", [b"", b"\4\0", b"\x09\0\0host", b"\4\0\0\x40aa", b"\4\0\0\xc0\x03"])
def test_a_malformed_option_is_not_answered_and_costs_nothing_else(data: bytes) -> None:
    answer = offered(data)
    assert 81 not in answer.options
    assert answer.yiaddr


@pytest.mark.parametrize("requested", [None, bytes((1, 3)), bytes((1, 3, 81))])
def test_4_offer_and_ack_carry_it_when_the_client_sent_it_whatever_it_requests(requested: bytes | None) -> None:
    options = {81: b"\4\0\0" + NAME} | ({55: requested} if requested is not None else {})
    node = world()
    offer = node.answer(message(v4.DISCOVER, options=options))
    assert isinstance(offer, v4.Packet)
    took = {"requested": str(IPv4Address(offer.yiaddr)), "server": str(IPv4Address(node.local))}
    ack = node.answer(message(v4.REQUEST, options=options, **took))
    assert isinstance(ack, v4.Packet)
    assert offer.options[81] == ack.options[81] == b"\x0c\xff\xff" + NAME


def test_4_it_is_in_no_reply_to_a_client_that_did_not_send_it() -> None:
    always = Parameters(options={81: OptionValue(build_fqdn(parse_fqdn(b"\5\0\0" + NAME)), SEND_ALWAYS)})
    node = world(subnet(parameters=always))
    answer = node.answer(message(v4.DISCOVER, options={55: bytes((1, 81))}))
    assert isinstance(answer, v4.Packet)
    assert 81 not in answer.options


def test_4_it_is_in_offer_and_ack_only() -> None:
    node = world()
    bind(node, 2, "10.77.20.9")
    options = {81: b"\4\0\0" + NAME}
    refused = node.answer(
        message(v4.REQUEST, requested="10.77.20.9", server=str(IPv4Address(node.local)), options=options)
    )
    informed = node.answer(message(v4.INFORM, ciaddr="10.77.20.8", options=options))
    for answer in (refused, informed):
        assert isinstance(answer, v4.Packet)
        assert 81 not in answer.options
    renewed = node.answer(message(v4.REQUEST, 2, ciaddr="10.77.20.9", options=options))
    assert isinstance(renewed, v4.Packet)
    assert renewed.options[81][3:] == NAME


def test_a_name_too_long_for_one_option_comes_back_in_two() -> None:
    name = ".".join(["x" * 60] * 4) + ".abcdefg."
    answer = offered(b"\0\0\0" + name.encode(), options={57: (1400).to_bytes(2, "big")})
    assert answer.options[81] == b"\x08\xff\xff" + name.encode()

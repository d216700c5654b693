"""Replies from compiled bodies equal those built option by option; what is echoed, what fits, where they go."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.world import bind, ip, mac, message, option, reservation, subnet, world
from everlease.core.actions import TO_ADDRESS, TO_BROADCAST, TO_HARDWARE, TO_RELAY
from everlease.core.bodies import INFORM_ACK, LONGEST_LIST, MOST_BODIES, Body, body_of
from everlease.core.model import SEND_ALWAYS, SEND_NEVER, OptionValue, Parameters
from everlease.core.policy import MOST_POLICIES, Resolved, resolve
from everlease.core.query import Query
from everlease.core.replies import NAK_BODY, Terms, destination, render
from everlease.core.v4 import understand
from everlease.wire import v4

A = ip("10.77.20.9")


def query(packet: v4.Packet, **more: object) -> Query:
    found = understand(packet, world().situation(**more))
    assert isinstance(found, Query), found
    return found


# --- the reference ---------------------------------------------------------------------------------------------------


def by_option(asked: v4.Packet, terms: Terms, rules: Parameters) -> v4.Packet:
    """The reply as RFC 2131 table 3 words it, put together one option at a time."""
    options = {53: bytes((terms.kind,)), 54: terms.identifier.to_bytes(4, "big")}
    values = dict(rules.options)
    values.setdefault(1, OptionValue(b"\xff\xff\0\0"))
    if terms.valid:
        for code, seconds in ((51, terms.valid), (58, terms.t1), (59, terms.t2)):
            options[code] = seconds.to_bytes(4, "big")
    requested = asked.options.get(55)
    wanted = list(values) if requested is None else list(requested)
    wanted += [code for code, value in values.items() if value.send == SEND_ALWAYS]
    has_routers = 3 in values and values[3].send != SEND_NEVER
    if has_routers and 1 in wanted and 3 in wanted and wanted.index(3) < wanted.index(1):
        wanted.insert(wanted.index(3), 1)
    for code in wanted:
        if code in values and values[code].send != SEND_NEVER:
            options.setdefault(code, values[code].data)
    for code in (61, 82):
        if code in asked.options:
            options[code] = asked.options[code]
    return v4.Packet(
        op=2, htype=asked.htype, hlen=asked.hlen, xid=asked.xid, flags=asked.flags, yiaddr=terms.yiaddr,
        ciaddr=asked.ciaddr if terms.kind == v4.ACK else 0, giaddr=asked.giaddr, chaddr=asked.chaddr, options=options,
    )  # fmt: skip


CODES = st.sampled_from([1, 3, 6, 12, 15, 26, 28, 42, 43, 66, 67, 119, 121, 224])
VALUES = st.builds(OptionValue, st.binary(min_size=1, max_size=12), st.sampled_from([0, 0, SEND_ALWAYS, SEND_NEVER]))
RULES = st.builds(Parameters, options=st.dictionaries(CODES, VALUES, max_size=8))
LISTS = st.none() | st.lists(st.integers(0, 255), max_size=30).map(bytes) | st.lists(CODES, max_size=90).map(bytes)


@st.composite
def asked(draw: st.DrawFn) -> v4.Packet:
    options: dict[int, bytes] = {}
    requested = draw(LISTS)
    if requested is not None:
        options[55] = requested
    if draw(st.booleans()):
        options[61] = draw(st.binary(min_size=2, max_size=40))
    if draw(st.booleans()):
        circuit = draw(st.binary(min_size=1, max_size=60))
        options[82] = bytes((1, len(circuit))) + circuit
    return message(
        v4.DISCOVER, draw(st.integers(0, 99)), xid=draw(st.integers(0, 2**32 - 1)), options=options,
        flags=draw(st.sampled_from([0, 0x8000])), giaddr=draw(st.sampled_from(["0.0.0.0", "10.77.0.200"])),
    )  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(asked(), RULES, st.sampled_from([v4.OFFER, v4.ACK]), st.integers(1, 2**32 - 1))
def test_a_compiled_body_gives_the_octets_that_the_builder_gives(
    packet: v4.Packet, rules: Parameters, kind: int, valid: int
) -> None:
    terms = Terms(kind, ip("10.77.0.2"), A, valid, valid // 2, valid * 7 // 8)
    resolved = Resolved(resolve(iter((rules,)), subnet()))
    body = body_of(resolved, kind, packet.options.get(55))
    expected = v4.build(by_option(packet, terms, rules), minimum=300, maximum=576)
    assert render(query(packet), body, terms) == expected


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(CODES, st.builds(OptionValue, st.binary(min_size=1, max_size=400)), max_size=10),
    st.integers(0, 1500),
)
def test_no_reply_is_bigger_than_the_client_and_the_way_back_take(options: dict[int, OptionValue], size: int) -> None:
    packet = message(
        v4.DISCOVER, giaddr="10.77.0.200", options={57: size.to_bytes(2, "big"), 82: b"\x01\x02ab", 61: b"\x00me"}
    )
    resolved = Resolved(resolve(iter((Parameters(options=options),)), subnet()))
    found = render(query(packet, mtu=1400), body_of(resolved, v4.OFFER, None), Terms(v4.OFFER, 1, A, 60, 30, 52))
    assert found is not None
    assert 300 <= len(found) <= min(max(size, 576), 1400) - 28
    reply = v4.parse(found)
    assert (reply.options[82], reply.options[61], reply.options[51]) == (b"\x01\x02ab", b"\x00me", b"\0\0\0\x3c")
    assert list(reply.options)[-1] == 82 or 52 in found[240:]


def test_what_was_asked_for_last_is_left_out_first() -> None:
    rules = Parameters(options={code: option(bytes(200)) for code in (224, 225, 226, 227)})
    body = body_of(Resolved(resolve(iter((rules,)), subnet())), v4.OFFER, bytes((227, 226, 225, 224)))
    found = render(query(message(v4.DISCOVER)), body, Terms(v4.OFFER, 1, A, 60, 30, 52))
    assert found is not None
    options = v4.parse(found).options
    assert 227 in options
    assert 224 not in options


def test_a_client_identifier_too_long_for_one_option_is_echoed_in_pieces() -> None:
    packet = message(v4.DISCOVER, options={61: bytes(300), 57: b"\x05\xdc"})
    found = world().answer(packet)
    assert isinstance(found, v4.Packet)
    assert found.options[61] == bytes(300)


def test_an_echo_that_leaves_no_room_is_silence() -> None:
    assert world().answer(message(v4.DISCOVER, options={61: bytes(900)})) == "too_large"


@pytest.mark.parametrize("relay", [b"\x01\x04port\x02\x03abc", b"\xde\xad\x01", b"\x05\x04\x01\x02\x03\x04"])
def test_option_82_without_giaddr_is_echoed_whole_and_last_and_believed_by_nobody(relay: bytes) -> None:
    reply = world().answer(message(v4.DISCOVER, options={82: relay, 61: b"\x00me"}))
    assert isinstance(reply, v4.Packet)
    assert reply.options[82] == relay
    assert list(reply.options)[-1] == 82


def test_a_garbled_option_82_from_a_relay_is_malformed() -> None:
    assert world().answer(message(v4.DISCOVER, giaddr="10.77.0.200", options={82: b"\x01\x09x"})) == "malformed"


def test_the_client_identifier_is_echoed_in_every_reply() -> None:  # RFC 6842 section 3
    node = world()
    bind(node, 9, "10.77.20.10")
    for fields in (
        {},
        {"requested": "10.77.20.9", "server": "10.77.0.2"},
        {"requested": "10.77.20.10", "server": "10.77.0.2"},
    ):
        kind = v4.REQUEST if fields else v4.DISCOVER
        reply = node.answer(message(kind, options={61: b"\x00me"}, **fields))
        assert isinstance(reply, v4.Packet)
        assert reply.options[61] == b"\x00me"


def test_the_relay_may_choose_the_server_identifier() -> None:  # RFC 5107
    override = b"\x0b\x04" + bytes((10, 77, 0, 200))
    node = world()
    offer = node.answer(message(v4.DISCOVER, giaddr="10.77.0.200", options={82: override}))
    assert isinstance(offer, v4.Packet)
    assert offer.options[54] == bytes((10, 77, 0, 200))
    ack = node.answer(
        message(v4.REQUEST, giaddr="10.77.0.200", requested="10.77.20.9", server="10.77.0.200", options={82: override})
    )
    assert isinstance(ack, v4.Packet)
    assert (ack.message_type, ack.options[54]) == (v4.ACK, bytes((10, 77, 0, 200)))


# --- where replies go ------------------------------------------------------------------------------------------------

G, S, C = ip("10.77.0.200"), ip("10.77.0.2"), ip("10.77.20.9")
TABLE = [
    # kind, giaddr, ciaddr, broadcast, link -> kind, address
    (v4.OFFER, 0, 0, False, "office", TO_HARDWARE, A),
    (v4.OFFER, 0, 0, True, "office", TO_BROADCAST, 0xFFFFFFFF),
    (v4.OFFER, G, 0, False, None, TO_RELAY, G),
    (v4.OFFER, G, 0, True, None, TO_RELAY, G),
    (v4.ACK, 0, C, False, "office", TO_ADDRESS, C),
    (v4.ACK, 0, C, True, "office", TO_ADDRESS, C),
    (v4.ACK, 0, C, False, None, TO_ADDRESS, C),
    (v4.ACK, G, C, False, None, TO_RELAY, G),
    (v4.NAK, 0, 0, False, "office", TO_BROADCAST, 0xFFFFFFFF),
    (v4.NAK, 0, C, False, "office", TO_BROADCAST, 0xFFFFFFFF),
    (v4.NAK, 0, C, False, None, TO_ADDRESS, C),
    (v4.NAK, G, 0, False, None, TO_RELAY, G),
]


@pytest.mark.parametrize("row", TABLE)
def test_the_destination_of_a_reply(row: tuple[int, int, int, bool, str | None, int, int]) -> None:
    kind, giaddr, ciaddr, broadcast, link, to, address = row
    packet = message(v4.REQUEST, giaddr=giaddr, ciaddr=ciaddr, flags=0x8000 if broadcast else 0)
    found = destination(query(packet, link=link, destination=S), Terms(kind, S, 0 if kind == v4.NAK else A))
    assert (found.kind, found.address, found.port) == (to, address, 67 if giaddr else 68)
    reachable = to == TO_HARDWARE or (to == TO_ADDRESS and kind == v4.ACK and not broadcast)
    assert found.hardware == (mac(1) if reachable else b"")


def test_behind_nat_a_relay_is_answered_where_its_packet_came_from() -> None:
    asked = query(message(v4.DISCOVER, giaddr=G), link=None, source=5, source_port=4000, reply_to_source=True)
    found = destination(asked, Terms(v4.OFFER, S, A))
    assert (found.kind, found.address, found.port) == (TO_RELAY, 5, 4000)


@pytest.mark.parametrize("kind", [v4.ACK, v4.NAK])
def test_behind_nat_a_renewal_is_answered_where_its_packet_came_from(kind: int) -> None:
    nat = {"source": 5, "source_port": 4000, "reply_to_source": True}
    asked = query(message(v4.REQUEST, ciaddr=C), link=None, destination=S, **nat)
    found = destination(asked, Terms(kind, S, 0 if kind == v4.NAK else A))
    assert (found.kind, found.address, found.port, found.hardware) == (TO_ADDRESS, 5, 4000, b"")


def test_a_relay_may_ask_for_the_port_that_it_sent_from() -> None:  # RFC 8357 section 5
    packet = message(v4.DISCOVER, giaddr=G, options={82: b"\x13\x00"})
    found = destination(query(packet, link=None, source_port=4000), Terms(v4.OFFER, S, A))
    assert (found.address, found.port) == (G, 4000)


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_strangers_parameter_request_lists_do_not_fill_the_memory() -> None:
    node = world()
    for number in range(3 * MOST_BODIES):
        node.answer(message(v4.DISCOVER, options={55: bytes((number, 3, 6))}))
    node.answer(message(v4.DISCOVER, options={55: bytes(range(1, 200)) * 3}))
    for resolved in node.config.derived.policies.values():
        assert len(resolved.bodies) <= MOST_BODIES
        assert all(requested is None or len(requested) <= 256 for _, requested in resolved.bodies)
    assert LONGEST_LIST < 256


def test_reservations_do_not_fill_the_memory() -> None:
    many = tuple(
        reservation(n, f"10.77.{100 + n // 250}.{n % 250}", hostname=f"host-{n}") for n in range(MOST_POLICIES + 50)
    )
    node = world(subnet(reservations=many))
    for number in range(MOST_POLICIES + 50):
        node.answer(message(v4.DISCOVER, number))
    assert len(node.config.derived.policies) <= MOST_POLICIES


def test_a_nak_and_the_answer_to_inform_have_no_place_for_a_lifetime() -> None:
    policy = resolve(iter(()), subnet())
    assert not NAK_BODY.leased
    assert not Body(policy, INFORM_ACK, None).leased
    assert Body(policy, v4.ACK, None).leased


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=400), min_size=1, max_size=3), st.sampled_from([v4.OFFER, v4.ACK]))
def test_long_options_are_split_as_the_builder_splits_them(values: list[bytes], kind: int) -> None:
    rules = Parameters(options={224 + n: OptionValue(value) for n, value in enumerate(values)})
    packet = message(v4.DISCOVER, options={57: b"\x08\x00", 61: b"\x00me", 55: bytes((226, 224, 225))})
    terms = Terms(kind, ip("10.77.0.2"), A, 60, 30, 52)
    body = body_of(Resolved(resolve(iter((rules,)), subnet())), kind, packet.options[55])
    expected = v4.build(by_option(packet, terms, rules), minimum=300, maximum=1800)
    assert render(query(packet, mtu=1800), body, terms) == expected

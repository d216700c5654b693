"""Whatever comes in, `decide` returns an Action: never an exception, never more than the client can take."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.world import (
    BROADCAST,
    Commit,
    Drop,
    Node,
    Reply,
    bind,
    ip,
    lease,
    message,
    option,
    pool,
    record,
    reservation,
    subnet,
    world,
)
from everlease.core import classify
from everlease.core.actions import DROP_REASONS, OPERATIONS, RESULTS
from everlease.core.facts import facts
from everlease.core.lifecycle import Row
from everlease.core.model import ClientClass, Parameters
from everlease.core.policy import resolve
from everlease.errors import WireError
from everlease.wire import v4

ADDRESSES = st.sampled_from(
    [0, ip("10.77.0.2"), ip("10.77.20.9"), ip("10.77.20.10"), ip("10.88.1.7"), ip("192.0.2.1"), BROADCAST]
)
ADDRESS_OPTIONS = ADDRESSES.map(lambda address: address.to_bytes(4, "big"))
OPTIONS = st.fixed_dictionaries(
    {53: st.integers(0, 20).map(lambda kind: bytes((kind,)))},
    optional={
        12: st.binary(max_size=300),
        50: ADDRESS_OPTIONS,
        51: st.binary(min_size=4, max_size=4),
        54: ADDRESS_OPTIONS,
        55: st.binary(max_size=400),
        57: st.binary(min_size=2, max_size=2),
        60: st.sampled_from([b"PXEClient", b"", b"\xff"]),
        61: st.binary(min_size=2, max_size=400),
        77: st.binary(max_size=20),
        80: st.binary(max_size=2),
        81: st.binary(max_size=40),
        82: st.binary(max_size=300) | st.sampled_from([b"\x05\x04\x0a\x58\0\0", b"\x0b\x02\0\0", b"\x0a\x00"]),
        118: ADDRESS_OPTIONS,
        224: st.binary(max_size=300),
    },
)
PACKETS = st.builds(
    v4.Packet,
    op=st.sampled_from([1, 1, 1, 1, 2, 0]),
    htype=st.sampled_from([1, 6, 32, 255]),
    xid=st.integers(0, 2**32 - 1),
    flags=st.sampled_from([0, 0x8000, 0xFFFF]),
    ciaddr=ADDRESSES,
    giaddr=ADDRESSES,
    chaddr=st.binary(max_size=16),
    options=OPTIONS,
)
CIRCUMSTANCES = st.fixed_dictionaries(
    {},
    optional={
        "link": st.sampled_from([None, "office", "elsewhere"]),
        "source": ADDRESSES,
        "destination": ADDRESSES,
        "mtu": st.sampled_from([576, 1500, 9000]),
        "copies": st.integers(1, 4),
        "fresh": st.booleans(),
        "extending": st.booleans(),
        "may_grant": st.booleans(),
        "answer_all": st.booleans(),
        "reply_to_source": st.booleans(),
        "restored": st.sampled_from([None, {}, {("default", ip("10.77.20.9")): Row(b"x", 2**33, 1, 1, 1, 60, 0)}]),
    },
)


def town() -> Node:
    rules = Parameters(
        rapid_commit=True,
        authoritative=True,
        options={224: option(bytes(300)), 3: option("10.77.0.1"), 43: option(bytes(40), 1)},
    )
    home = subnet(
        reservations=(reservation(1, "10.77.20.10"),),
        relays=frozenset({ip("192.0.2.1")}),
        trust_option_82=True,
        pools=(pool("10.77.20.0", "10.77.20.255"),),
    )
    other = subnet("10.88.0.0/16", id=2, link=None, pools=(pool("10.88.1.0", "10.88.1.255", frozenset({"pxe"})),))
    pxe = ClientClass(
        "pxe", classify.any_of([classify.test("vendor-class-identifier", "prefix", b"PXE")]), "", Parameters()
    )
    node = world((home, other), classes=(pxe,), parameters=rules, names="abc")
    bind(node, 1, "10.77.20.9")
    record(node, "10.77.20.10", lease(2, ends=-1000))
    return node


NODE = town()


@settings(max_examples=400, deadline=None)
@given(PACKETS, CIRCUMSTANCES)
def test_any_message_in_any_circumstances_comes_to_an_action(packet: v4.Packet, more: dict[str, Any]) -> None:
    packet.hlen = len(packet.chaddr)
    try:
        read = v4.parse(v4.build(packet, maximum=9000))
    except WireError:
        return
    action = NODE.decide(read, **more)
    assert action.operation in OPERATIONS
    if isinstance(action, Drop):
        assert action.reason in DROP_REASONS
        return
    reply = action.then if isinstance(action, Commit) else action
    if reply is not None:
        assert isinstance(reply, Reply)
        assert reply.result in RESULTS
        answer = v4.parse(reply.payload)
        assert len(reply.payload) + 28 <= more.get("mtu", 1500)
        assert (answer.op, answer.xid, answer.chaddr) == (2, read.xid, read.chaddr)
        assert answer.options.get(82) == read.options.get(82)
        assert answer.options.get(61) == read.options.get(61)


def test_facts_are_what_the_packet_says() -> None:
    packet = message(1, giaddr="10.77.0.200", options={61: b"\x00me", 60: b"PXE", 224: b"x", 82: b"ignored"})
    known = facts(packet, {1: b"port", 2: b"switch", 200: b"odd"}, "office")
    assert known["hw-address"] == packet.chaddr
    assert (known["client-id"], known["vendor-class-identifier"], known["option-224"]) == (b"\x00me", b"PXE", b"x")
    assert (known["circuit-id"], known["remote-id"], known["relay-200"]) == (b"port", b"switch", b"odd")
    assert (known["giaddr"], known["link"], known["htype"]) == (bytes((10, 77, 0, 200)), b"office", b"\x01")
    assert not any(b"ignored" in value for value in known.values())


def test_the_most_specific_level_wins_for_every_parameter() -> None:
    levels = [
        Parameters(valid_lifetime=1, options={3: option(b"a")}),
        Parameters(valid_lifetime=2, renew_time=20, authoritative=False, options={3: option(b"b"), 6: option(b"c")}),
        Parameters(valid_lifetime=3, renew_time=30, rebind_time=33, authoritative=True, boot_file_name=b"grub"),
    ]
    policy = resolve(iter(levels), subnet())
    assert (policy.valid_lifetime, policy.renew_time, policy.rebind_time) == (1, 20, 33)
    assert policy.authoritative is False
    assert (policy.options[3].data, policy.options[6].data) == (b"a", b"c")
    assert policy.options[67].data == b"grub"


def test_what_nobody_says_has_the_documented_default() -> None:
    policy = resolve(iter(()), subnet())
    assert (policy.valid_lifetime, policy.min_valid_lifetime, policy.max_valid_lifetime) == (3600, 3600, 3600)
    assert (policy.offer_lifetime, policy.affinity, policy.decline_probation) == (30, 7 * 86400, 86400)
    assert not (policy.authoritative or policy.rapid_commit or policy.ping_check.enabled)


def test_next_server_and_its_names_are_header_fields_and_options() -> None:
    rules = Parameters(next_server=ip("10.77.0.5"), boot_file_name=b"f" * 200)
    offer = world(parameters=rules).answer(message(v4.DISCOVER, options={57: b"\x05\xdc"}))
    assert isinstance(offer, v4.Packet)
    assert (offer.siaddr, offer.options[66], offer.options[67]) == (ip("10.77.0.5"), b"10.77.0.5", b"f" * 200)
    assert not any(offer.file)  # 128 octets are too few: the option says it

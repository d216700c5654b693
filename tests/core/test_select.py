"""Which network a client is in, and whom the server believes about it."""

from __future__ import annotations

import pytest

from core.world import bind, ip, message, pool, replace, subnet, world
from everlease.core.select import MOST_RELAYS, Place, locate
from everlease.wire import v4

OFFICE = subnet(relays=frozenset({ip("192.0.2.1")}))
LAB = subnet("10.88.0.0/16", id=2, name="lab", link="lab", pools=(pool("10.88.1.0", "10.88.1.255"),))
STRICT = subnet(
    "10.99.0.0/16",
    id=3,
    name="strict",
    link=None,
    relays=frozenset({ip("10.99.0.1")}),
    strict_relays=True,
    pools=(pool("10.99.1.0", "10.99.1.255"),),
)
TENANT = subnet("10.66.0.0/16", id=4, name="tenant", space="tenant", link=None, pools=(pool("10.66.1.0", "10.66.1.9"),))
SERVER = ip("10.77.0.2")


def selection(address: str) -> bytes:
    return b"\x05\x04" + ip(address).to_bytes(4, "big")


def found(packet: v4.Packet, **more: object) -> tuple[int, str] | str:
    """(subnet id, how), or the reason."""
    place = locate(packet, world(OFFICE, LAB, STRICT, TENANT).situation(**more))
    return (place.network.subnets[0].id, place.how) if isinstance(place, Place) else place


DISCOVER = v4.DISCOVER
RELAYED = {"link": None, "interface": (), "destination": SERVER}

CASES = [
    ("the link's label", message(DISCOVER), {"link": "lab"}, (2, "link")),
    (
        "the interface's own address",
        message(DISCOVER),
        {"link": "eth7", "interface": ((ip("10.99.0.2"), 16),)},
        (3, "interface"),
    ),
    (
        "nothing known of the link",
        message(DISCOVER),
        {"link": "eth7", "interface": ((ip("192.168.0.2"), 24),)},
        "no_subnet",
    ),
    ("a relay socket without a relay", message(DISCOVER), RELAYED, "no_subnet"),
    ("giaddr in a prefix", message(DISCOVER, giaddr="10.88.0.1"), RELAYED, (2, "giaddr")),
    ("giaddr listed", message(DISCOVER, giaddr="192.0.2.1"), RELAYED, (1, "relay")),
    ("giaddr over link", message(DISCOVER, giaddr="10.88.0.1"), {"link": "office"}, (2, "giaddr")),
    ("giaddr over ciaddr", message(v4.REQUEST, giaddr="10.88.0.1", ciaddr="10.77.20.9"), RELAYED, (2, "giaddr")),
    ("giaddr of nobody", message(DISCOVER, giaddr="203.0.113.9"), RELAYED, "bad_relay"),
    ("giaddr inside a strict subnet", message(DISCOVER, giaddr="10.99.0.9"), RELAYED, "bad_relay"),
    ("giaddr listed by a strict subnet", message(DISCOVER, giaddr="10.99.0.1"), RELAYED, (3, "relay")),
    ("our own address for giaddr", message(DISCOVER, giaddr="10.77.0.2"), {}, "loop"),
    ("our own address, from elsewhere", message(DISCOVER, giaddr="10.77.0.2"), RELAYED, "loop"),
    ("a relay on this machine", message(DISCOVER, giaddr="10.77.0.2"), RELAYED | {"source": SERVER}, (1, "giaddr")),
    ("unicast from ciaddr", message(v4.REQUEST, ciaddr="10.88.1.7"), {"destination": SERVER}, (2, "ciaddr")),
    ("unicast from ciaddr of the link", message(v4.REQUEST, ciaddr="10.77.20.9"), {"destination": SERVER}, (1, "link")),
    ("unicast from nowhere", message(v4.REQUEST, ciaddr="192.168.9.9"), {"destination": SERVER}, "no_subnet"),
    ("broadcast with ciaddr", message(v4.REQUEST, ciaddr="10.88.1.7"), {}, (1, "link")),
    (
        "link selection over giaddr",
        message(DISCOVER, giaddr="10.77.0.9", options={82: selection("10.88.0.0")}),
        RELAYED,
        (2, "link-selection"),
    ),
    (
        "link selection over option 118",
        message(
            DISCOVER, giaddr="10.77.0.9", options={82: selection("10.88.0.0"), 118: ip("10.77.0.0").to_bytes(4, "big")}
        ),
        RELAYED,
        (2, "link-selection"),
    ),
    (
        "option 118 over giaddr",
        message(DISCOVER, giaddr="10.77.0.9", options={118: ip("10.88.0.0").to_bytes(4, "big")}),
        RELAYED,
        (2, "subnet-selection"),
    ),
    (
        "option 118 without a relay is a stranger's wish",
        message(DISCOVER, options={118: ip("10.88.0.0").to_bytes(4, "big")}),
        {},
        (1, "link"),
    ),
    (
        "link selection by a client itself",
        message(DISCOVER, options={82: selection("10.88.0.0")}),
        {},
        (1, "link"),
    ),
    (
        "link selection by a stranger",
        message(DISCOVER, giaddr="203.0.113.9", options={82: selection("10.88.0.0")}),
        RELAYED,
        "bad_relay",
    ),
    (
        "link selection by a relay that the subnet lists, outside every prefix",
        message(DISCOVER, giaddr="192.0.2.1", options={82: selection("10.77.0.0")}),
        RELAYED,
        (1, "link-selection"),
    ),
    (
        "link selection into a strict subnet",
        message(DISCOVER, giaddr="10.77.0.9", options={82: selection("10.99.0.0")}),
        RELAYED,
        "bad_relay",
    ),
    (
        "link selection into another tenant's space",
        message(DISCOVER, giaddr="10.77.0.9", options={82: selection("10.66.0.0")}),
        RELAYED,
        "bad_relay",
    ),
    (
        "link selection of nothing",
        message(DISCOVER, giaddr="10.77.0.9", options={82: selection("172.16.0.0")}),
        RELAYED,
        "no_subnet",
    ),
    (
        "link selection cut short",
        message(DISCOVER, giaddr="10.77.0.9", options={82: b"\x05\x02\x0a\x4d"}),
        RELAYED,
        "malformed",
    ),
]


@pytest.mark.parametrize(("what", "packet", "more", "expected"), CASES, ids=[case[0] for case in CASES])
def test_the_network_of_a_client(
    what: str, packet: v4.Packet, more: dict[str, object], expected: tuple[int, str] | str
) -> None:
    assert found(packet, **more) == expected, what


def test_relays_that_strangers_invent_are_not_all_remembered() -> None:
    node = world(OFFICE)
    invented = [f"172.16.{number >> 8}.{number & 255}" for number in range(MOST_RELAYS + 9)]
    assert {node.answer(message(DISCOVER, giaddr=each), **RELAYED) for each in invented} == {"bad_relay"}
    assert len(node.config.derived.relays) <= MOST_RELAYS


def test_a_switch_that_snoops_is_believed_where_the_operator_trusts_the_link() -> None:
    packet = message(DISCOVER, options={82: b"\x01\x04port"})
    trusting = locate(packet, world(replace(OFFICE, trust_option_82=True)).situation())
    wary = locate(packet, world(OFFICE).situation())
    assert isinstance(trusting, Place)
    assert isinstance(wary, Place)
    assert (trusting.relay, wary.relay) == ({1: b"port"}, {})


def test_option_118_is_echoed_where_it_was_obeyed() -> None:  # RFC 3011 section 2
    wish = ip("10.88.0.0").to_bytes(4, "big")
    node = world(OFFICE, LAB)
    obeyed = node.answer(message(DISCOVER, giaddr="10.77.0.9", options={118: wish, 55: b"\x01"}), link=None)
    ignored = node.answer(message(DISCOVER, options={118: wish}))
    assert isinstance(obeyed, v4.Packet)
    assert isinstance(ignored, v4.Packet)
    assert obeyed.options[118] == wish
    assert obeyed.yiaddr >> 16 == ip("10.88.0.0") >> 16
    assert 118 not in ignored.options


def test_a_client_of_a_shared_network_is_found_under_each_member() -> None:
    second = subnet("10.88.0.0/16", id=2, link=None, pools=(pool("10.88.1.0", "10.88.1.255"),))
    node = world((subnet(), second))
    bind(node, 1, "10.88.1.7", subnet_id=2)
    offer = node.answer(message(DISCOVER))
    assert isinstance(offer, v4.Packet)
    assert offer.yiaddr == ip("10.88.1.7")
    assert offer.options[1] == bytes((255, 255, 0, 0))


def test_a_client_without_any_name_is_malformed() -> None:
    assert world().answer(message(DISCOVER, hlen=0, chaddr=b"")) == "malformed"


def test_nobody_behind_a_switched_off_or_draining_subnet_gets_anything_new() -> None:
    for state in ("disabled", "draining"):
        assert world(subnet(state=state)).answer(message(DISCOVER)) == state


def test_a_draining_subnet_renews_and_a_disabled_one_is_silent() -> None:
    for state, expected in (("draining", v4.ACK), ("disabled", "disabled")):
        node = world(subnet(state=state))
        bind(node, 1, "10.77.20.9")
        for fields in ({"ciaddr": "10.77.20.9"}, {"requested": "10.77.20.9"}):
            answer = node.answer(message(v4.REQUEST, **fields))
            assert (answer.message_type if isinstance(answer, v4.Packet) else answer) == expected

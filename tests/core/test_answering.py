"""Who answers: every candidate computes it alone, and together they answer once, then twice, then all."""

from __future__ import annotations

import pytest

from core.world import NOW, Node, Truth, bind, configuration, ip, key, message, subnet, world
from everlease.core.actions import Drop
from everlease.core.answering import owned_mask, rendezvous
from everlease.core.heard import Heard, kind_of
from everlease.core.identity import LONGEST, client_bucket, client_key, heard_key
from everlease.core.situation import ALL_BUCKETS
from everlease.wire import v4

A = "10.77.20.9"
SERVERS = {"a": "10.77.0.2", "b": "10.77.0.3", "c": "10.77.0.4"}


def cluster() -> list[Node]:
    truth, config = Truth(), configuration()
    return [Node(truth, config, name, "abc") for name in "abc"]


def speakers(packet: v4.Packet, **more: object) -> str:
    """The names of the nodes that do not leave the packet to others."""
    found = ""
    for node in cluster():
        action = node.decide(packet, **more)
        if not (isinstance(action, Drop) and action.reason in ("not_owner", "other_server")):
            found += node.name
    return found


def order(number: int) -> tuple[str, ...]:
    return rendezvous(frozenset("abc"))[client_bucket(b"\x02\x01" + message(1, number).chaddr)]


@pytest.mark.parametrize("number", range(20))
def test_one_answers_the_first_copy_two_the_second_all_the_third(number: int) -> None:
    for copies in (1, 2, 3, 4):
        assert set(speakers(message(v4.DISCOVER, number), copies=copies)) == set(order(number)[:copies])


def test_a_unicast_from_ciaddr_is_always_answered() -> None:
    packet = message(v4.REQUEST, ciaddr=A)
    assert speakers(packet, destination=ip("10.77.0.2")) == "abc"
    assert len(speakers(packet)) == 1


def test_behind_a_shared_load_balancer_everybody_answers() -> None:
    assert speakers(message(v4.DISCOVER), answer_all=True) == "abc"


@pytest.mark.parametrize("kind", [v4.REQUEST, v4.DECLINE])
@pytest.mark.parametrize("number", range(6))
def test_a_message_that_names_a_member_is_left_to_it_first(kind: int, number: int) -> None:
    for name, address in SERVERS.items():
        packet = message(kind, number, requested=A, server=address)
        assert speakers(packet) == name
        rest = [each for each in order(number) if each != name]
        assert set(speakers(packet, copies=2)) == {name, rest[0]}


def test_a_message_for_a_dead_member_is_completed_by_the_owner_among_the_rest() -> None:
    truth, config = Truth(), configuration()
    living = [Node(truth, config, name, "ab") for name in "ab"]  # c is remembered by its identifier alone
    for number in range(20):
        packet = message(v4.REQUEST, number, requested=A, server=SERVERS["c"])
        silent = [node.name for node in living if isinstance(node.decide(packet), Drop)]
        assert len(silent) == 1
        assert silent[0] != rendezvous(frozenset("ab"))[client_bucket(client_key(packet, "client-id"))][0]


def test_a_message_for_a_stranger_is_left_to_the_stranger() -> None:
    for kind in (v4.REQUEST, v4.DECLINE, v4.RELEASE):
        packet = message(kind, requested=A, ciaddr=A if kind == v4.RELEASE else 0, server="10.77.0.250")
        for node in cluster():
            silence = node.decide(packet, copies=3, destination=ip("10.77.0.250"))
            assert isinstance(silence, Drop)
            assert silence.reason == "other_server"
            assert silence.operation == {v4.REQUEST: "request", v4.DECLINE: "decline", v4.RELEASE: "release"}[kind]


def test_3_1_4_a_client_that_takes_another_servers_offer_has_declined_those_of_all_the_others() -> None:
    silences = [node.decide(message(v4.REQUEST, requested=A, server=SERVERS["c"])) for node in cluster()]
    declined = [silence.declined for silence in silences if isinstance(silence, Drop)]
    assert declined == [("default", key(1))] * 2
    rebooting = [node.decide(message(v4.REQUEST, requested=A)) for node in cluster()]
    assert rebooting.count(Drop("not_owner", "init_reboot")) == 2


def test_an_identifier_that_all_share_leaves_it_to_the_order() -> None:
    truth, config = Truth(), configuration()
    for number in range(10):
        answers = []
        for name in "abc":
            node = Node(truth, config, name, "abc")
            node.peers.identifiers = {ip("10.77.0.100"): ""}
            action = node.decide(
                message(v4.REQUEST, number, requested=A, server="10.77.0.100"), local=ip("10.77.0.100")
            )
            answers.append(not isinstance(action, Drop))
        assert sum(answers) == 1


def test_a_relayed_release_is_written_by_the_member_that_it_names() -> None:
    packet = message(v4.RELEASE, giaddr="10.77.0.200", ciaddr=A, server=SERVERS["b"])
    nodes = cluster()
    bind(nodes[0], 1, A)
    for node in nodes:
        node.sight.refresh()
    assert [node.answer(packet, link=None) for node in nodes] == ["not_owner", "done", "not_owner"]


def test_only_the_node_that_answers_sends_the_nak_and_in_the_selected_servers_name() -> None:
    nodes = cluster()
    bind(nodes[0], 9, A)
    for node in nodes:
        node.sight.refresh()
    packet = message(v4.REQUEST, requested=A, server=SERVERS["b"])
    answers = [node.answer(packet) for node in nodes]
    naks = [answer for answer in answers if isinstance(answer, v4.Packet)]
    assert len(naks) == 1
    assert naks[0].message_type == v4.NAK
    assert naks[0].options[54] == ip(SERVERS["b"]).to_bytes(4, "big")


def test_a_node_that_completes_anothers_offer_grants_what_was_asked_for() -> None:
    for node in cluster():
        ack = node.answer(message(v4.REQUEST, requested=A, server=SERVERS["c"]), copies=3)
        assert isinstance(ack, v4.Packet)
        assert (ack.message_type, ack.yiaddr) == (v4.ACK, ip(A))


# --- rendezvous ------------------------------------------------------------------------------------------------------


def test_buckets_are_shared_out_evenly_and_completely() -> None:
    shares = [owned_mask(rendezvous(frozenset("abc")), name) for name in "abc"]
    assert shares[0] | shares[1] | shares[2] == ALL_BUCKETS
    assert sum(share.bit_count() for share in shares) == 256
    assert min(share.bit_count() for share in shares) > 55


def test_a_node_that_leaves_moves_only_its_own_buckets() -> None:
    before, after = rendezvous(frozenset("abc")), rendezvous(frozenset("ab"))
    for old, new in zip(before, after, strict=True):
        assert tuple(name for name in old if name != "c") == new


def test_a_lone_node_owns_everything() -> None:
    assert owned_mask(rendezvous(frozenset("a")), "a") == ALL_BUCKETS


# --- heard again -----------------------------------------------------------------------------------------------------


def counts(times: list[float]) -> list[int]:
    heard = Heard()
    return [heard.note(b"me", "office", 1, NOW + time) for time in times]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0, 4, 12], [1, 2, 3]),
        ([0, 0.1, 0.69], [1, 1, 1]),
        ([0, 0.7], [1, 2]),
        ([0, 4, 4.1, 4.6, 8], [1, 2, 2, 2, 3]),
        ([0, 30], [1, 2]),
        ([0, 31, 35], [1, 1, 2]),
        ([0, 20, 31], [1, 2, 1]),
    ],
)
def test_copies_are_counted_by_when_they_come(times: list[float], expected: list[int]) -> None:
    assert counts(times) == expected


def test_another_client_link_or_kind_is_another_conversation() -> None:
    heard = Heard()
    for place in ((b"me", "office", 1), (b"you", "office", 1), (b"me", "lab", 1), (b"me", "office", 3)):
        assert heard.note(*place, NOW) == 1


def test_the_table_of_copies_is_bounded_and_forgets_the_oldest() -> None:
    heard = Heard(capacity=3)
    for name in (b"1", b"2", b"3", b"4"):
        heard.note(name, "office", 1, NOW)
    assert len(heard) == 3
    assert heard.note(b"1", "office", 1, NOW + 4) == 1
    assert heard.note(b"4", "office", 1, NOW + 4) == 2


def test_a_retransmission_is_known_whatever_its_transaction_and_seconds() -> None:
    assert heard_key(message(1, xid=1, secs=0)) == heard_key(message(1, xid=2, secs=9))
    assert heard_key(message(1, 1)) != heard_key(message(1, 2))


def test_requests_of_a_client_in_different_states_are_different_questions() -> None:
    states = [
        message(v4.REQUEST, requested="10.77.20.9", server="10.77.0.2"),
        message(v4.REQUEST, requested="10.77.20.9"),
        message(v4.REQUEST, ciaddr="10.77.20.9"),
        message(v4.DISCOVER),
    ]
    assert len({kind_of(packet) for packet in states}) == 4


# --- client keys -----------------------------------------------------------------------------------------------------


def test_no_client_identifier_can_pose_as_a_hardware_address() -> None:
    victim = client_key(message(1, 1), "client-id")
    for forged in (victim, victim[1:]):
        assert client_key(message(1, 2, options={61: forged}), "client-id") != victim


def test_the_subnets_rule_chooses_the_name() -> None:
    packet = message(1, options={61: b"\x00me"})
    assert client_key(packet, "client-id") == b"\x01\x00me"
    assert client_key(packet, "hw-address") == b"\x02\x01" + packet.chaddr
    bare = message(1, hlen=0, chaddr=b"", options={61: b"\x00me"})
    assert client_key(bare, "hw-address") == b"\x01\x00me"


@pytest.mark.parametrize("length", [2, 63, 64, 65, 255, 2000])
def test_a_key_has_at_most_64_octets_and_differs_for_different_clients(length: int) -> None:
    one, two = (client_key(message(1, options={61: bytes((n,)) * length}), "client-id") for n in (1, 2))
    assert one != two
    assert max(len(one), len(two)) <= LONGEST


def test_pxe_rom_and_system_of_one_machine_share_an_address_by_hardware() -> None:
    node = world(subnet(client_identity="hw-address"))
    rom = node.answer(message(v4.DISCOVER, options={61: b"\x00" + bytes(16)}))
    system = node.answer(message(v4.DISCOVER, options={61: b"\xff\x01"}))
    assert isinstance(rom, v4.Packet)
    assert isinstance(system, v4.Packet)
    assert rom.yiaddr == system.yiaddr


# --- five nodes, two links, a relay that sends to two of them --------------------------------------------------------


@pytest.mark.parametrize("candidates", ["abc", "de", "bd"])
def test_the_first_discover_is_answered_by_one_of_those_that_hear_it(candidates: str) -> None:
    truth, config = Truth(), configuration()
    nodes = [Node(truth, config, name, candidates) for name in candidates]
    for number in range(40):
        answers = [node.decide(message(v4.DISCOVER, number)) for node in nodes]
        assert sum(not isinstance(action, Drop) for action in answers) == 1


def test_node_a_dies_between_offer_and_request_and_the_client_gets_that_address_from_another() -> None:
    truth, config = Truth(), configuration()
    first, second, third = (Node(truth, config, name, "abc") for name in "abc")
    offer = first.answer(message(v4.DISCOVER), copies=3)
    assert isinstance(offer, v4.Packet)
    taken = message(v4.REQUEST, options={50: offer.yiaddr.to_bytes(4, "big"), 54: offer.options[54]})
    assert [second.answer(taken), third.answer(taken)] == ["not_owner"] * 2  # it may still be alive
    answers = [node.answer(taken, copies=2) for node in (second, third)]
    acks = [answer for answer in answers if isinstance(answer, v4.Packet)]
    assert [(ack.message_type, ack.yiaddr) for ack in acks] == [(v4.ACK, offer.yiaddr)]

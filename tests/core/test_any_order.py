"""Any order of anything: clients and nodes that do what they like, and never is an address promised twice."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from core.world import (
    NOW,
    Commit,
    Node,
    Reply,
    Truth,
    configuration,
    ip,
    key,
    message,
    pool,
    subnet,
)
from everlease.core.lifecycle import BOUND
from everlease.wire import v4

SERVER = "10.77.0.2"

CLIENTS = st.integers(1, 4)
ADDRESSES = st.integers(ip("10.77.20.0"), ip("10.77.20.2"))
NODES = st.sampled_from("abc")


class Town(RuleBasedStateMachine):
    """Four clients, three nodes with views of any age, a pool of three: no address is ever promised twice."""

    def __init__(self) -> None:
        super().__init__()
        truth, config = Truth(), configuration(subnet(pools=(pool("10.77.20.0", "10.77.20.2"),)))
        self.truth = truth
        self.nodes = {name: Node(truth, config, name, "abc") for name in "abc"}
        self.now = NOW
        self.pending: list[tuple[Node, Commit]] = []
        self.offered: dict[int, tuple[int, int]] = {}
        # client -> (address, the end that it was told)
        self.bound: dict[int, tuple[int, float]] = {}

    def ask(self, name: str, packet: v4.Packet, **more: object) -> None:
        node = self.nodes[name]
        node.now = self.now
        action = node.decide(packet, copies=3, **more)
        if isinstance(action, Reply):
            self.hear(node, action)
        elif isinstance(action, Commit):
            self.pending.append((node, action))

    def hear(self, node: Node, reply: Reply) -> None:
        if reply.hold is not None:
            node.offers.hold(reply.hold)
        packet = v4.parse(reply.payload)
        number = int.from_bytes(packet.chaddr[2:], "big")
        if packet.message_type == v4.OFFER:
            self.offered[number] = (packet.yiaddr, int.from_bytes(packet.options[54], "big"))
        elif packet.message_type == v4.ACK:
            self.bound[number] = (packet.yiaddr, self.now + int.from_bytes(packet.options[51], "big"))
        else:
            self.bound.pop(number, None)

    def forget(self, number: int) -> None:
        """What the client had asked for before is not what it wants now: it hears none of the answers."""
        self.pending = [each for each in self.pending if each[1].change.client != key(number)]

    @rule(name=NODES)
    def refresh(self, name: str) -> None:
        self.nodes[name].sight.refresh()

    @rule(seconds=st.sampled_from([1, 40, 1900, 4000, 9000]))
    def wait(self, seconds: int) -> None:
        self.pending.clear()  # decisions older than 5 s never leave
        self.now += seconds

    @rule(data=st.data(), lost=st.sampled_from([False, False, True]))
    def commit(self, data: st.DataObject, lost: bool) -> None:
        if self.pending:
            node, action = self.pending.pop(data.draw(st.integers(0, len(self.pending) - 1)))
            done = self.truth.apply(action.change)
            node.sight.refresh()  # own commits are written through, and what was refused is read anew
            if done and action.then is not None and not lost:
                self.hear(node, action.then)

    @rule(name=NODES, number=CLIENTS)
    def discover(self, name: str, number: int) -> None:
        self.bound.pop(number, None)
        self.ask(name, message(v4.DISCOVER, number))

    @rule(name=NODES, number=CLIENTS)
    def select(self, name: str, number: int) -> None:
        if number in self.offered and number not in self.bound:
            address, server = self.offered[number]
            options = {50: address.to_bytes(4, "big"), 54: server.to_bytes(4, "big")}
            self.ask(name, message(v4.REQUEST, number, options=options))

    @rule(name=NODES, number=CLIENTS, address=ADDRESSES)
    def grab(self, name: str, number: int, address: int) -> None:
        """A client that asks for what it was never offered."""
        if number not in self.bound:
            server = self.nodes[name].local.to_bytes(4, "big")
            self.ask(name, message(v4.REQUEST, number, options={50: address.to_bytes(4, "big"), 54: server}))

    @rule(name=NODES, number=CLIENTS)
    def renew(self, name: str, number: int) -> None:
        if number in self.bound and self.bound[number][1] > self.now:
            address = self.bound[number][0]
            self.ask(name, message(v4.REQUEST, number, ciaddr=address), destination=ip(SERVER))

    @rule(name=NODES, number=CLIENTS)
    def reboot(self, name: str, number: int) -> None:
        if number in self.bound:
            address = self.bound[number][0].to_bytes(4, "big")
            self.ask(name, message(v4.REQUEST, number, options={50: address}))

    @rule(name=NODES, number=CLIENTS)
    def decline(self, name: str, number: int) -> None:
        if number in self.bound:
            address, _ = self.bound.pop(number)
            self.forget(number)
            options = {50: address.to_bytes(4, "big"), 54: self.nodes[name].local.to_bytes(4, "big")}
            self.ask(name, message(v4.DECLINE, number, options=options))

    @rule(name=NODES, number=CLIENTS)
    def release(self, name: str, number: int) -> None:
        if number in self.bound:
            address, _ = self.bound.pop(number)
            self.forget(number)
            server = {54: self.nodes[name].local.to_bytes(4, "big")}
            self.ask(
                name, message(v4.RELEASE, number, ciaddr=address, options=server), destination=self.nodes[name].local
            )

    @invariant()
    def no_address_is_promised_twice(self) -> None:
        valid = [address for address, end in self.bound.values() if end > self.now]
        assert len(valid) == len(set(valid))

    @invariant()
    def a_client_has_one_binding_and_its_index_names_it(self) -> None:
        bound = [
            (given.client, address) for (_, address), (given, _) in self.truth.leases.items() if given.state == BOUND
        ]
        assert len({client for client, _ in bound}) == len(bound)
        for client, address in bound:
            assert self.truth.index["default", 1, client] == address

    @invariant()
    def every_promise_is_on_record(self) -> None:
        for number, (address, end) in self.bound.items():
            if end > self.now:
                given, _ = self.truth.leases["default", address]
                assert given.client == key(number)
                assert given.expires_at >= end


Town.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestTown = Town.TestCase

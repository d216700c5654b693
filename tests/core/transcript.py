"""Scenarios as a colleague reads them: commands, `----`, and what happened.

nodes a b c                         who serves the link (a speaks unless a line starts with another's name)
[b] discover 1 requested=ADDRESS    client 1 sends; words: requested, server, ciaddr, giaddr, copies, unicast, stale,
                                    extending, option=CODE:TEXT
bind 1 ADDRESS ends=SECONDS         a record from earlier; also state=released
wait SECONDS · refresh [NODE] · deaf NODE (its view stops) · lease ADDRESS · explain 1
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from core.world import (
    NOW,
    Node,
    Truth,
    bind,
    configuration,
    dotted,
    ip,
    message,
    option,
    pool,
    reservation,
    subnet,
)
from everlease.core.actions import CHANGE_NAMES, TO_ADDRESS, TO_BROADCAST, TO_HARDWARE, TO_RELAY, Commit, Drop, Reply
from everlease.core.explain import explain
from everlease.core.lifecycle import BOUND, DECLINED, OFFERED, RELEASED, STATE_NAMES
from everlease.core.model import ClientClass, Config, Parameters
from everlease.wire import v4

KINDS: Final = {
    "discover": v4.DISCOVER,
    "request": v4.REQUEST,
    "decline": v4.DECLINE,
    "release": v4.RELEASE,
    "inform": v4.INFORM,
}
PLACES: Final = {TO_RELAY: "relay", TO_ADDRESS: "client at", TO_HARDWARE: "hardware,", TO_BROADCAST: "broadcast"}
STATES: Final = {"bound": BOUND, "released": RELEASED, "declined": DECLINED, "offered": OFFERED}

_SECOND = subnet("10.88.0.0/16", id=2, name="annex", link=None, pools=(pool("10.88.1.0", "10.88.1.255"),))
_PHONES = ClientClass("phones", lambda facts: "user-class" in facts, "", Parameters(options={3: option("10.77.0.3")}))
CONFIGURATIONS: Final[dict[str, Config]] = {
    "office": configuration(),
    "authoritative": configuration(parameters=Parameters(authoritative=True)),
    "small": configuration(subnet(pools=(pool("10.77.20.0", "10.77.20.1"),))),
    "ordered": configuration(subnet(allocator="ordered")),
    "shared": configuration((subnet(), _SECOND)),
    "reserved": configuration(subnet(reservations=(reservation(1, "10.77.0.10", hostname="printer"),))),
    "classes": configuration(
        subnet(pools=(pool("10.77.2.0", "10.77.2.9", frozenset({"phones"})), pool("10.77.20.0", "10.77.20.255"))),
        classes=(_PHONES,),
    ),
    "draining": configuration(subnet(state="draining")),
    "rapid": configuration(parameters=Parameters(rapid_commit=True)),
}


class Stage:
    """One scenario's world; `run` takes a command line and returns what happened."""

    def __init__(self) -> None:
        self.truth, self.config, self.now = Truth(), CONFIGURATIONS["office"], NOW
        self.deaf: set[str] = set()
        self.cast("a")

    def cast(self, names: str) -> None:
        self.nodes = {name: Node(self.truth, self.config, name, names) for name in names}

    def run(self, line: str) -> list[str]:
        words = line.split()
        speaker = self.nodes[words.pop(0)] if words[0] in self.nodes else next(iter(self.nodes.values()))
        command, *rest = words
        if command in KINDS:
            return self.send(speaker, command, rest)
        return getattr(self, f"do_{command}")(rest) or []

    def do_config(self, words: list[str]) -> None:
        self.config = CONFIGURATIONS[words[0]]
        self.cast("".join(self.nodes))

    def do_nodes(self, words: list[str]) -> None:
        self.cast("".join(words))

    def do_deaf(self, words: list[str]) -> None:
        self.deaf.update(words)

    def do_refresh(self, words: list[str]) -> None:
        self.deaf.difference_update(words)
        self.see()

    def do_wait(self, words: list[str]) -> None:
        self.now += int(words[0])

    def do_bind(self, words: list[str]) -> None:
        more = dict(word.split("=") for word in words[2:])
        given = {"ends": self.now - NOW + int(more.get("ends", 3600)), "state": STATES[more.get("state", "bound")]}
        bind(next(iter(self.nodes.values())), int(words[0]), words[1], subnet_id=int(more.get("subnet", 1)), **given)
        self.see()

    def do_lease(self, words: list[str]) -> list[str]:
        found = self.truth.leases.get(("default", ip(words[0])))
        if found is None:
            return [f"{words[0]}: no record"]
        given, _ = found
        client = int.from_bytes(given.client[-4:], "big")
        ends = given.expires_at - int(self.now)
        return [f"{words[0]}: {STATE_NAMES[given.state]}, client {client}, ends in {ends} s"]

    def do_explain(self, words: list[str]) -> list[str]:
        node = next(iter(self.nodes.values()))
        packet, more = self.packet("discover", words)
        node.now = self.now
        told = explain(packet, node.situation(**more))
        gets = f"{dotted(told.address)} by {told.source}, {told.valid} s" if told.address else told.reason
        options = " ".join(str(code) for code, _ in told.options)
        return [
            f"subnets {told.subnets} by {told.found_by}; classes {told.classes}; {gets}",
            f"options {options}; answers {' '.join(told.answers)}; {told.action}",
        ]

    def see(self) -> None:
        for name, node in self.nodes.items():
            if name not in self.deaf:
                node.sight.refresh()

    def packet(self, command: str, words: list[str]) -> tuple[v4.Packet, dict[str, Any]]:
        fields: dict[str, Any] = {"options": {}}
        more: dict[str, Any] = {}
        for word in words[1:]:
            name, _, value = word.partition("=")
            if name == "option":
                code, _, text = value.partition(":")
                fields["options"][int(code)] = text.encode()
            elif name in ("requested", "server", "ciaddr", "giaddr"):
                fields[name] = value
            else:
                more |= {
                    "copies": {"copies": int(value or 1)},
                    "unicast": {"destination": ip("10.77.0.2"), "source": ip(fields.get("ciaddr", "0.0.0.0"))},
                    "stale": {"fresh": False},
                    "extending": {"extending": True, "fresh": False},
                }[name]
        if "giaddr" in fields:
            more |= {"link": None, "source": ip(fields["giaddr"])}
        return message(KINDS[command], int(words[0]), **fields), more

    def send(self, node: Node, command: str, words: list[str]) -> list[str]:
        packet, more = self.packet(command, words)
        node.now = self.now
        said = []
        for _ in range(3):
            action = node.decide(packet, **more)
            if isinstance(action, Drop):
                return [*said, f"{node.name}: silence ({action.reason})"]
            if isinstance(action, Reply):
                return [*said, self.heard(node, action)]
            done = self.truth.apply(action.change)
            outcome = "committed" if done else "refused"
            said.append(f"{node.name}: {shown(action)}: {outcome}")
            node.sight.refresh()
            self.see()
            if done:
                return said if action.then is None else [*said, self.heard(node, action.then)]
        return [*said, f"{node.name}: silence (conflict)"]

    def heard(self, node: Node, reply: Reply) -> str:
        if reply.hold is not None:
            node.offers.hold(reply.hold)
        packet, to = v4.parse(reply.payload), reply.destination
        what = f"{node.name}: {v4.MESSAGE_NAMES[packet.message_type]}"
        if packet.yiaddr:
            what += f" {dotted(packet.yiaddr)} for {int.from_bytes(packet.options[51], 'big')} s"
        where = "" if to.kind == TO_BROADCAST else f" {dotted(to.address)}:{to.port}"
        server = dotted(int.from_bytes(packet.options[54], "big"))
        return f"{what}, server {server}, to {PLACES[to.kind]}{where}"


def shown(action: Commit) -> str:
    change = action.change
    extras = [f"moved from {dotted(change.moved.address)}"] if change.moved else []
    if change.displaced:
        extras.append("past holder's index deleted")
    return f"{CHANGE_NAMES[change.kind]} {dotted(change.address)}{''.join(f', {extra}' for extra in extras)}"


def play(text: str) -> str:
    """The scenario with its transcripts as they come out now. Blocks are parted by an empty line."""
    stage, blocks = Stage(), []
    for block in text.strip().split("\n\n"):
        commands, _, _ = block.partition("\n----")
        lines = commands.splitlines()
        said = [out for line in lines if not line.startswith("#") for out in stage.run(line)]
        blocks.append("\n".join([*lines, "----", *said]) if said or "\n----" in block else "\n".join(lines))
    return "\n\n".join(blocks) + "\n"


SCENARIOS: Final = sorted((Path(__file__).parent / "scenarios").glob("*.txt"))

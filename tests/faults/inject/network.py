"""Faults of the network: between members and nodes (F4, F5, F17), and between clients and nodes (F23, F29, F30).

What an nft rule drops, nobody is told of: neither end's TCP is reset, and no carrier is lost.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator

from everlease.lab.netns import Namespace, Switch
from everlease.lab.processes import LabError
from faults.stage import RELAY, Stage
from lab.site import interface_of

OFFICE = interface_of(0)
"""A host's interface on the clients' link."""


@contextlib.contextmanager
def dropping(host: Namespace, *, incoming: str = "", outgoing: str = "") -> Iterator[None]:
    """Lose in a namespace what matches, in nft's words; "" = nothing."""
    chains = [
        f"chain {hook} {{\ntype filter hook {hook} priority 0;\n{match} drop\n}}\n"
        for hook, match in (("input", incoming), ("output", outgoing))
        if match
    ]
    host.nft(f"table ip fault {{\n{''.join(chains)}}}")
    try:
        yield
    finally:
        host.nft("delete table ip fault")


@contextlib.contextmanager
def losing(switch: Switch, match: str) -> Iterator[None]:
    """Lose in a switch what matches on its way from port (iifname) to port (oifname)."""
    rule = f"chain forward {{\ntype filter hook forward priority 0;\n{match} drop\n}}"
    switch.namespace.nft(f"table bridge fault {{\n{rule}\n}}")
    try:
        yield
    finally:
        switch.namespace.nft("delete table bridge fault")


@contextlib.contextmanager
def member_cut_off(stage: Stage, number: int) -> Iterator[None]:
    """F4: a member hears neither other members nor clients, not even the node beside it, and is not heard."""
    own = stage.etcd.members[number].address
    incoming = f"ip daddr {own} tcp dport {{ 2379, 2380 }} drop\ntcp sport 2380"  # `dropping` ends the last rule
    outgoing = f"ip saddr {own} tcp sport {{ 2379, 2380 }} drop\ntcp dport 2380"
    with dropping(stage.hosts[number], incoming=incoming, outgoing=outgoing):
        yield


@contextlib.contextmanager
def host_cut_off(stage: Stage, number: int) -> Iterator[None]:
    """F4: a host has lost the backbone; its node reaches its own member only, which has no leader."""
    port = stage.backbone.ports[stage.hosts[number].label]
    stage.backbone.cut(port)
    try:
        yield
    finally:
        stage.backbone.restore(port)


@contextlib.contextmanager
def host_deaf(stage: Stage, number: int) -> Iterator[None]:
    """F5: what the backbone brings to a host is lost, what it sends arrives."""
    with dropping(stage.hosts[number], incoming='iifname "eth0"'):
        yield


@contextlib.contextmanager
def host_mute(stage: Stage, number: int) -> Iterator[None]:
    """F5: what a host sends to the backbone is lost, what is sent to it arrives."""
    with dropping(stage.hosts[number], outgoing='oifname "eth0"'):
        yield


@contextlib.contextmanager
def host_flapping(stage: Stage, number: int, half: float = 1.0) -> Iterator[None]:
    """F5: cut off for `half` seconds, back for as long, and so on."""
    port = stage.backbone.ports[stage.hosts[number].label]
    over = threading.Event()

    def flap() -> None:
        while not over.is_set():
            stage.backbone.cut(port)
            over.wait(half)
            stage.backbone.restore(port)
            over.wait(half)

    thread = threading.Thread(target=flap, name="flap", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def node_reaches(stage: Stage, number: int, *members: int) -> Iterator[None]:
    """F5: a node reaches these members only, none if none is named; the members reach each other."""
    others = [member.address for place, member in enumerate(stage.etcd.members) if place not in members]
    with dropping(stage.hosts[number], outgoing=f"ip daddr {{ {', '.join(others)} }} tcp dport 2379"):
        yield


@contextlib.contextmanager
def half_open(stage: Stage, number: int) -> Iterator[None]:
    """F17: each connection that a node has to the store just now is dead, both ways; new ones are fine."""
    host, pid = stage.hosts[number], stage.nodes[number].running.pid
    ports = re.findall(rf":(\d+)\s+\S+:2379\s+users:.*pid={pid},", host.run("ss", "-tnpH", "state", "established"))
    if not ports:
        raise LabError(f"{stage.nodes[number].name} has no connection to the store")
    few = f"{{ {', '.join(ports)} }}"
    with dropping(host, incoming=f"tcp dport {few} tcp sport 2379", outgoing=f"tcp sport {few} tcp dport 2379"):
        yield


@contextlib.contextmanager
def clients_side_mute(stage: Stage, number: int) -> Iterator[None]:
    """F29: what a node answers on the clients' link is lost."""
    with losing(stage.links["office"], f'iifname "{stage.ports["office"][number]}" udp sport 67'):
        yield


@contextlib.contextmanager
def clients_side_deaf(stage: Stage, number: int) -> Iterator[None]:
    """F29: a node hears no client on its link."""
    with losing(stage.links["office"], f'oifname "{stage.ports["office"][number]}" udp dport 67'):
        yield


@contextlib.contextmanager
def clients_side_down(stage: Stage, number: int) -> Iterator[None]:
    """F29: the cable of a node's clients' link is pulled: carrier is lost."""
    port = stage.ports["office"][number]
    stage.links["office"].cut(port)
    try:
        yield
    finally:
        stage.links["office"].restore(port)


@contextlib.contextmanager
def interface_gone(stage: Stage, number: int) -> Iterator[None]:
    """F29: the interface of a node's clients' link is deleted, and comes back as another one of the same name."""
    host = stage.hosts[number]
    host.ip("link", "delete", OFFICE)
    try:
        yield
    finally:
        stage.ports["office"][number] = stage.links["office"].connect(host, OFFICE, address=f"10.77.0.{number + 2}/16")
        host.ip("route", "replace", "10.91.0.0/16", "via", RELAY)


@contextlib.contextmanager
def lossy(stage: Stage, percent: int = 30) -> Iterator[None]:
    """F23: so much is lost of what clients and nodes say to each other on the link, for each that should hear it."""
    with losing(stage.links["office"], f"udp dport {{ 67, 68 }} numgen random mod 100 < {percent}"):
        yield

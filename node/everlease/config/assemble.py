"""Compiled subnets -> `model.Config`, piece by piece, so that a node can do it between packets.

The law of this file: a step is short, whatever the size of the configuration; nobody sees a Config before the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from everlease.core.model import (
    EMPTY,
    ClientClass,
    ClusterSettings,
    Config,
    Limits,
    Network,
    Parameters,
    Reservation,
    Subnet,
)

_Key = TypeVar("_Key")


@dataclass(frozen=True, slots=True)
class Head:
    """All of a configuration but its subnets.

    networks: parameters of each shared network by name; ambiguous: ids of subnets that overlap one of another space.
    """

    revision: int
    mod_revision: int
    parameters: Parameters
    cluster: ClusterSettings
    limits: Limits
    classes: tuple[ClientClass, ...]
    option_names: Mapping[int, str]
    option_types: Mapping[int, str]
    networks: Mapping[str, Parameters]
    ambiguous: frozenset[int]


@dataclass(slots=True)
class Assembly:
    """A configuration on its way: subnets, their reservations behind them, then `finish` run to its end."""

    head: Head
    subnets: dict[int, Subnet] = field(default_factory=dict)
    network_of: dict[int, Network] = field(default_factory=dict)
    by_relay: dict[int, Network] = field(default_factory=dict)
    by_link: dict[str, Network] = field(default_factory=dict)
    by_prefix: dict[int, dict[int, Subnet]] = field(default_factory=dict)
    _groups: dict[str | int, list[Subnet]] = field(default_factory=dict)
    _networks: list[Network] = field(default_factory=list)

    def add(self, subnet: Subnet, network: str) -> None:
        """One subnet, and the name of its shared network ("" = none)."""
        self.subnets[subnet.id] = subnet
        self._groups.setdefault(network or subnet.id, []).append(subnet)

    def reserve(self, reservations: Iterable[Reservation]) -> None:
        """Reservations of subnets added before without them."""
        for one in reservations:
            subnet = self.subnets[one.subnet]
            _filled(subnet.reservations)[one.kind, one.value, one.relay] = one
            if one.address:
                _filled(subnet.reserved)[one.address] = one

    def finish(self) -> Iterator[None]:
        """Make the networks and the look-up tables, one network a step."""
        for name in list(self._groups):
            members = self._groups.pop(name)  # now, one by one: 10,000 lists that go at once hold the loop
            label, own = (name, self.head.networks.get(name, EMPTY)) if isinstance(name, str) else ("", EMPTY)
            network = Network(label, tuple(members), own)
            self._networks.append(network)
            self._index(network)
            yield

    def config(self) -> Config:
        """The configuration, once `finish` has ended."""
        head = self.head
        return Config(
            revision=head.revision,
            mod_revision=head.mod_revision,
            parameters=head.parameters,
            cluster=head.cluster,
            limits=head.limits,
            classes=head.classes,
            networks=tuple(self._networks),
            subnets=self.subnets,
            network_of=self.network_of,
            by_relay=self.by_relay,
            by_link=self.by_link,
            by_prefix=dict(sorted(self.by_prefix.items(), reverse=True)),  # longest first
            option_names=head.option_names,
            option_types=head.option_types,
        )

    def _index(self, network: Network) -> None:
        for subnet in network.subnets:
            self.network_of[subnet.id] = network
            for relay in subnet.relays:
                self.by_relay.setdefault(relay, network)
            if subnet.link is not None:
                self.by_link.setdefault(subnet.link, network)
            # A prefix that two spaces share tells nothing, but for the default space: the others have links or relays.
            if subnet.id not in self.head.ambiguous or subnet.space == "default":
                self.by_prefix.setdefault(subnet.length, {})[subnet.prefix >> (32 - subnet.length)] = subnet


def _filled(mapping: Mapping[_Key, Reservation]) -> dict[_Key, Reservation]:
    """The dict behind a subnet's mapping, which is still ours: nobody decides on a Config that is not finished."""
    if not isinstance(mapping, dict):
        raise TypeError(f"a subnet that takes reservations needs a dict, not {type(mapping).__name__}")
    return mapping

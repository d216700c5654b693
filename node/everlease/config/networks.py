"""What subnets mean together: shared networks, prefixes within a space, links, relays.

The law of this file: whatever a packet says, at most one network fits it; what could fit two is a finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from everlease.config import schema
from everlease.config.problems import Path, Report
from everlease.config.subnets import cidr, span_of
from everlease.config.values import show
from everlease.core.model import Config, Network


@dataclass(slots=True)
class Member:
    """One subnet on its way: its entry in the document, and its path."""

    entry: schema.Subnet
    path: Path


def memberships(
    document: schema.Document, known: frozenset[int], report: Report
) -> dict[int, tuple[schema.SharedNetwork, Path]]:
    """The shared network of each subnet id that is in one. `known`: ids that stand in the document, valid or not."""
    found: dict[int, tuple[schema.SharedNetwork, Path]] = {}
    names: dict[str, Path] = {}
    for position, network in enumerate(document.shared_networks):
        path: Path = ("shared-networks", position)
        if names.setdefault(network.name, path) is not path:
            report.add((*path, "name"), f'a shared network "{network.name}" exists already; choose another name')
        for place, subnet in enumerate(network.subnets):
            here = (*path, "subnets", place)
            if subnet not in known:
                report.add(here, f"there is no subnet {subnet}; define it under subnets, or take it out")
            elif subnet in found:
                report.add(here, f"subnet {subnet} is in {{other}} already; take it out of one", found[subnet][1])
            else:
                found[subnet] = (network, path)
    return found


def overlapping(members: Sequence[Member], report: Report) -> frozenset[int]:
    """Check prefixes within each space; returns the ids of subnets that overlap one of another space."""
    order = sorted(members, key=lambda member: (member.entry.prefix, member.entry.id))
    shared: set[int] = set()
    around: list[Member] = []  # prefixes that hold the current one: prefixes nest or are disjoint
    for member in order:
        start = member.entry.prefix[0]
        while around and span_of(around[-1].entry.prefix)[1] < start:
            around.pop()
        for outer in around:
            if outer.entry.space == member.entry.space:
                report.add(
                    (*member.path, "prefix"),
                    f"{cidr(member.entry)} overlaps {cidr(outer.entry)} of {{other}} in the space "
                    f'"{member.entry.space}"; change one, or give them different spaces',
                    outer.path,
                )
            else:
                shared |= {outer.entry.id, member.entry.id}
        around.append(member)
    return frozenset(shared)


def check_ways(found: Config, members: Mapping[int, Member], ambiguous: frozenset[int], report: Report) -> None:
    """Links and relays lead to one network; every subnet of an overlap can be told from the others."""
    for network in found.networks:
        for subnet in network.subnets:
            member = members[subnet.id]
            if subnet.link is not None and found.by_link[subnet.link] is not network:
                report.add((*member.path, "link"), _twice(f'link "{subnet.link}"', found.by_link[subnet.link]))
            for position, relay in enumerate(member.entry.relays):
                if found.by_relay[relay] is not network:
                    report.add(
                        (*member.path, "relays", position), _twice(f"relay {show(relay)}", found.by_relay[relay])
                    )
        _check_reach(network, members, ambiguous, report)
        _check_members(network, members, report)


def _twice(what: str, other: Network) -> str:
    ids = " and ".join(str(subnet.id) for subnet in other.subnets)
    return f"{what} leads to subnet {ids} already; put them in one shared network, or change one of them"


def _check_reach(network: Network, members: Mapping[int, Member], ambiguous: frozenset[int], report: Report) -> None:
    if any(subnet.link or subnet.relays or subnet.space == "default" for subnet in network.subnets):
        return
    for subnet in network.subnets:
        if subnet.id in ambiguous:
            report.add(
                (*members[subnet.id].path, "prefix"),
                f"{cidr(members[subnet.id].entry)} exists in another space too; say with link or relays how its "
                "clients are told apart",
            )


def _check_members(network: Network, members: Mapping[int, Member], report: Report) -> None:
    first = network.subnets[0]
    for subnet in network.subnets[1:]:
        path = members[subnet.id].path
        if subnet.space != first.space:
            report.add(
                (*path, "space"),
                f'a shared network lies in one space; subnet {first.id} is in "{first.space}", '
                f'subnet {subnet.id} in "{subnet.space}"',
            )
        if subnet.client_identity != first.client_identity:
            report.add(
                (*path, "client-identity"),
                f"the subnets of a shared network know a client by the same rule; subnet {first.id} says "
                f"{first.client_identity}; write it under shared-networks",
            )


def duplicates(members: Iterable[Member], report: Report) -> list[Member]:
    """The subnets whose id was not seen before; the others become findings."""
    seen: dict[int, Member] = {}
    for member in members:
        other = seen.setdefault(member.entry.id, member)
        if other is not member:
            report.add((*member.path, "id"), f"id {member.entry.id} is {{other}}'s already; take another", other.path)
    return list(seen.values())

"""Document -> `model.Config`: every level compiled, every check made, all findings in one report.

The law of this file: it says in which order things are compiled; how, the files beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from everlease.config import schema
from everlease.config.levels import EMPTY, GLOBAL_DEFAULTS, Compiler
from everlease.config.match import MatchCompiler
from everlease.config.networks import Member, check_ways, duplicates, memberships, overlapping, tables
from everlease.config.options import OptionTable
from everlease.config.problems import Path, Report
from everlease.config.reservations import Taken
from everlease.config.subnets import Above, compile_subnet
from everlease.core.model import ClientClass, ClusterSettings, Config, Limits, Parameters, Subnet


@dataclass(frozen=True, slots=True)
class Names:
    """What stands in the text, even where its entry is broken: references to it are not a second finding."""

    subnets: frozenset[int]
    classes: frozenset[str]


def names_of(tree: Mapping[str, Any]) -> Names:
    """Collect the names from a tree as written."""
    return Names(
        frozenset(value for value in _each(tree, "subnets", "id") if isinstance(value, int)),
        frozenset(value for value in _each(tree, "client-classes", "name") if isinstance(value, str)),
    )


def _each(tree: Mapping[str, Any], listed: str, key: str) -> list[Any]:
    entries = tree.get(listed)
    return [entry.get(key) for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def compile_document(
    document: schema.Document, names: Names, report: Report, *, revision: int = 0, mod_revision: int = 0
) -> Config:
    """The compiled configuration; usable only if `report` stays empty."""
    compiler = Compiler(_option_table(document, report), report)
    said = compiler.parameters(document, (), (Parameters(**GLOBAL_DEFAULTS),))
    top = _with_defaults(said)
    shared = memberships(document, names.subnets, report)
    levels = {
        network.name: compiler.parameters(network, ("shared-networks", position), (top,))
        for position, network in enumerate(document.shared_networks)
    }
    members = duplicates(
        (Member(entry, ("subnets", position)) for position, entry in enumerate(document.subnets)), report
    )
    taken = Taken()
    subnets: dict[int, Subnet] = {}
    for member in members:
        above = _above(member, document, shared, levels, top, names)
        subnets[member.entry.id] = compile_subnet(member.entry, member.path, above, compiler, taken)
    by_id = {member.entry.id: member for member in members}
    ambiguous = overlapping(members, report)
    found = tables(subnets, by_id, shared, levels, ambiguous)
    check_ways(found, by_id, ambiguous, report)
    return Config(
        revision=revision,
        mod_revision=mod_revision,
        parameters=top,
        cluster=ClusterSettings(**document.cluster.model_dump()),
        limits=Limits(document.limits.packets_per_client),
        classes=_classes(document, compiler, top),
        networks=found.networks,
        subnets=subnets,
        network_of=found.network_of,
        by_relay=found.by_relay,
        by_link=found.by_link,
        by_prefix=found.by_prefix,
        option_names=compiler.options.names,
    )


def _option_table(document: schema.Document, report: Report) -> OptionTable:
    options = OptionTable()
    for position, definition in enumerate(document.option_def):
        options.define(definition, ("option-def", position), report)
    return options


def _with_defaults(said: Parameters) -> Parameters:
    fields = {name: getattr(said, name) for name in Parameters.__slots__}
    return Parameters(**{name: GLOBAL_DEFAULTS.get(name) if value is None else value for name, value in fields.items()})


def _above(
    member: Member,
    document: schema.Document,
    shared: Mapping[int, tuple[schema.SharedNetwork, Path]],
    levels: Mapping[str, Parameters],
    top: Parameters,
    names: Names,
) -> Above:
    if member.entry.id not in shared:
        return Above((document,), (top,), f"/{member.entry.id}", names.classes)
    network = shared[member.entry.id][0]
    return Above((network, document), (levels.get(network.name, EMPTY), top), network.name, names.classes)


def _classes(document: schema.Document, compiler: Compiler, top: Parameters) -> tuple[ClientClass, ...]:
    matches = MatchCompiler(compiler.options, compiler.report)
    found: dict[str, ClientClass] = {}
    for position, entry in enumerate(document.client_classes):
        path: Path = ("client-classes", position)
        if entry.name in found:
            compiler.report.add((*path, "name"), f'a class "{entry.name}" exists already; choose another name')
        match = matches.compile(entry.match, (*path, "match"))
        parameters = compiler.parameters(entry, path, (top,))
        found[entry.name] = ClientClass(entry.name, match, entry.action or "", parameters)
    return tuple(found.values())

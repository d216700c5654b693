"""Document -> `model.Config`: every level compiled, every check made, all findings in one report.

The law of this file: it says in which order things are compiled; how, the files beside it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from everlease.config import schema
from everlease.config.assemble import Assembly, Head
from everlease.config.levels import GLOBAL_DEFAULTS, Compiler
from everlease.config.match import MatchCompiler
from everlease.config.networks import Member, check_ways, duplicates, memberships, overlapping
from everlease.config.options import OptionTable
from everlease.config.problems import Path, Report
from everlease.config.reservations import Taken
from everlease.config.subnets import Above, compile_subnet
from everlease.core.model import EMPTY, ClientClass, ClusterSettings, Config, Limits, Parameters


@dataclass(frozen=True, slots=True)
class Names:
    """What stands in the text, even where its entry is broken: references to it are not a second finding."""

    subnets: frozenset[int]
    classes: frozenset[str]
    options: frozenset[str]


def names_of(tree: Mapping[str, Any]) -> Names:
    """Collect the names from a tree as written."""
    return Names(
        frozenset(value for value in _each(tree, "subnets", "id") if isinstance(value, int)),
        frozenset(value for value in _each(tree, "client-classes", "name") if isinstance(value, str)),
        frozenset(value for value in _each(tree, "option-def", "name") if isinstance(value, str)),
    )


def _each(tree: Mapping[str, Any], listed: str, key: str) -> list[Any]:
    entries = tree.get(listed)
    return [entry.get(key) for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def compile_document(
    document: schema.Document, names: Names, report: Report, *, revision: int = 0, mod_revision: int = 0
) -> tuple[Config, frozenset[int]]:
    """The compiled configuration, usable only if `report` stays empty, and the ids that overlap another space."""
    compiler = Compiler(_option_table(document, names, report), report)
    said = compiler.parameters(document, (), (Parameters(**GLOBAL_DEFAULTS),))
    top = _with_defaults(said)
    shared = memberships(document, names.subnets, report)
    levels = {
        network.name: compiler.parameters(network, ("shared-networks", position), (top,))
        for position, network in enumerate(document.shared_networks)
    }
    entries = (Member(entry, ("subnets", position)) for position, entry in enumerate(document.subnets))
    members = duplicates(entries, report)
    ambiguous = overlapping(members, report)
    head = Head(
        revision=revision,
        mod_revision=mod_revision,
        parameters=top,
        cluster=ClusterSettings(**document.cluster.model_dump()),
        limits=Limits(**document.limits.model_dump()),
        classes=_classes(document, compiler, top),
        option_names=compiler.options.names,
        option_types=compiler.options.types,
        networks=levels,
        ambiguous=ambiguous,
    )
    assembly = Assembly(head)
    taken = Taken()
    for member in members:
        above = _above(member, document, shared, levels, top, names)
        network = shared[member.entry.id][0].name if member.entry.id in shared else ""
        assembly.add(compile_subnet(member.entry, member.path, above, compiler, taken), network)
    deque(assembly.finish(), maxlen=0)
    config = assembly.config()
    check_ways(config, {member.entry.id: member for member in members}, ambiguous, report)
    return config, ambiguous


def _option_table(document: schema.Document, names: Names, report: Report) -> OptionTable:
    options = OptionTable(names.options)
    for position, definition in enumerate(document.option_def):
        options.define(definition, ("option-def", position), report)
    return options


def _with_defaults(said: Parameters) -> Parameters:
    missing = {name: value for name, value in GLOBAL_DEFAULTS.items() if getattr(said, name) is None}
    return replace(said, **missing)


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

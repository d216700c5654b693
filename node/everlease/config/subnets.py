"""One subnet of the document -> `model.Subnet`: its pools, exclusions, reservations and inherited switches.

The law of this file: what is checked here needs no other subnet; what does is `compile`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

from everlease.config import schema
from everlease.config.levels import Compiler
from everlease.config.problems import Path, did_you_mean
from everlease.config.ranges import Range, inside, merged, text, without
from everlease.config.reservations import Place, Taken, compile_reservations
from everlease.config.values import show
from everlease.core.model import Parameters, Pool, Subnet

_ROUTERS: Final = 3


@dataclass(slots=True)
class Above:
    """What a subnet inherits from: the document, its shared network if it has one, both compiled, nearest first.

    network: what tells networks apart; classes: the names that exist.
    """

    branches: tuple[schema.Branch, ...]
    parameters: tuple[Parameters, ...]
    network: str
    classes: frozenset[str]

    def switch(self, subnet: schema.Subnet, name: str, default: Any) -> Any:
        """A switch's value: the nearest level that says it."""
        found = (getattr(branch, name) for branch in (subnet, *self.branches))
        return next((value for value in found if value is not None), default)


def span_of(prefix: tuple[int, int]) -> Range:
    """First and last address of (address, length)."""
    return prefix[0], prefix[0] | (1 << 32 - prefix[1]) - 1


def cidr(subnet: schema.Subnet) -> str:
    """A subnet's prefix as people write it."""
    return f"{show(subnet.prefix[0])}/{subnet.prefix[1]}"


def compile_subnet(subnet: schema.Subnet, path: Path, above: Above, compiler: Compiler, taken: Taken) -> Subnet:
    """Compile and check one subnet by itself; findings go to the compiler's report."""
    _check_prefix(subnet, path, compiler)
    own = compiler.parameters(subnet, path, above.parameters)
    levels = (own, *above.parameters)
    span = span_of(subnet.prefix)
    unusable = frozenset(span) if subnet.prefix[1] <= 30 else frozenset[int]()
    place = Place(subnet.id, subnet.space, above.network, span, unusable, cidr(subnet), levels)
    kept = compile_reservations(subnet.reservations, (*path, "reservations"), place, compiler, taken)
    exclude = _exclusions(subnet, path, span, compiler)
    routers = _routers(levels)
    holes = merged([*exclude, *((address, address) for address in (*unusable, *routers))])
    return Subnet(
        id=subnet.id,
        name=subnet.name or f"subnet-{subnet.id}",
        space=subnet.space,
        prefix=subnet.prefix[0],
        length=subnet.prefix[1],
        link=subnet.link,
        relays=frozenset(subnet.relays),
        strict_relays=above.switch(subnet, "strict_relays", default=False),
        trust_option_82=above.switch(subnet, "trust_option_82", default=False),
        state=subnet.state,
        unknown_clients=above.switch(subnet, "unknown_clients", "allow"),
        allocator=above.switch(subnet, "allocator", "hashed"),
        client_identity=above.switch(subnet, "client_identity", "client-id"),
        pools=_pools(subnet, path, (span, holes, levels), above.classes, compiler),
        exclude=exclude,
        parameters=own,
        reservations=kept.by_key,
        reserved=kept.by_address,
        description=subnet.description,
        labels=subnet.labels,
    )


def _check_prefix(subnet: schema.Subnet, path: Path, compiler: Compiler) -> None:
    first_octet = subnet.prefix[0] >> 24
    if first_octet in (0, 127) or first_octet >= 224:
        compiler.report.add((*path, "prefix"), f"{cidr(subnet)} is not unicast address space; take another prefix")


def _exclusions(subnet: schema.Subnet, path: Path, span: Range, compiler: Compiler) -> tuple[Range, ...]:
    for position, excluded in enumerate(subnet.exclude):
        if not inside(excluded, span):
            compiler.report.add(
                (*path, "exclude", position), f"{text(excluded)} is outside the prefix {cidr(subnet)}; take it out"
            )
    return merged(subnet.exclude)


def _routers(levels: Sequence[Parameters]) -> tuple[int, ...]:
    """A router's address is never leased, whatever the pool says."""
    found = next((level.options[_ROUTERS].data for level in levels if _ROUTERS in level.options), b"")
    return tuple(int.from_bytes(found[start : start + 4], "big") for start in range(0, len(found), 4))


def _pools(
    subnet: schema.Subnet,
    path: Path,
    within: tuple[Range, Sequence[Range], Sequence[Parameters]],
    classes: frozenset[str],
    compiler: Compiler,
) -> tuple[Pool, ...]:
    span, holes, above = within
    pools = []
    for position, pool in enumerate(subnet.pools):
        here = (*path, "pools", position)
        ranges = without(pool.range, holes)
        if not inside(pool.range, span):
            compiler.report.add(
                (*here, "range"),
                f"{text(pool.range)} is outside the prefix {cidr(subnet)}; move the pool or the prefix",
            )
        elif not ranges:
            compiler.report.add(
                (*here, "range"),
                f"no address is left of {text(pool.range)} without the network, broadcast, routers' and excluded ones",
            )
        _check_classes(pool, here, classes, compiler)
        parameters = compiler.parameters(pool, here, above)
        pools.append(Pool(*pool.range, ranges, frozenset(pool.classes), parameters, pool.state))
    _check_overlaps(pools, path, compiler)
    return tuple(pools)


def _check_classes(pool: schema.Pool, here: Path, classes: frozenset[str], compiler: Compiler) -> None:
    for position, name in enumerate(pool.classes):
        if name not in classes:
            near = did_you_mean(name, classes) or "; define it under client-classes"
            compiler.report.add((*here, "classes", position), f'there is no class "{name}"{near}')


def _check_overlaps(pools: Sequence[Pool], path: Path, compiler: Compiler) -> None:
    order = sorted(range(len(pools)), key=lambda position: pools[position].first)
    for before, after in zip(_furthest(order, pools), order[1:], strict=False):
        if pools[after].first <= pools[before].last:
            later, earlier = max(before, after), min(before, after)
            compiler.report.add(
                (*path, "pools", later, "range"),
                f"{_range(pools[later])} overlaps {_range(pools[earlier])} of {{other}}; an address is in one pool",
                (*path, "pools", earlier),
            )


def _furthest(order: Sequence[int], pools: Sequence[Pool]) -> Iterator[int]:
    """For each pool in order, the one up to it that reaches furthest."""
    return accumulate(order, lambda one, other: other if pools[other].last > pools[one].last else one)


def _range(pool: Pool) -> str:
    return text((pool.first, pool.last))

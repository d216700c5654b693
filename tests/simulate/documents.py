"""Configuration documents, small and of few kinds: each is compiled once for thousands of seeds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Final

from simulate.guests import Manner

QUICK, REAL = (0.8, 1.6, 3.0), (4.0, 8.0, 16.0)


@dataclass(frozen=True, slots=True)
class Setting:
    """What a seed plays with. served: nodes that the relay sends to; pool: addresses per subnet; times in seconds."""

    nodes: int = 3
    served: int = 2
    guests: int = 6
    pool: int = 10
    valid: int = 20
    renew: int = 0
    margin: float = 5.0
    offer: int = 30
    allocator: str = "hashed"
    loss: str = "extend-known"
    authoritative: bool = False
    nested_pass: bool = True
    keeper: bool = True
    manners: tuple[Manner, ...] = (Manner(QUICK),)

    def changed(self, chance: Random) -> Setting:
        """Another document for the same cast: a wider pool, or other lifetimes."""
        if chance.random() < 0.5:
            return replace(self, pool=min(self.pool + 4, 40))
        return replace(self, valid=self.valid + 10)


LIFETIMES: Final = ((12, 0), (20, 0), (30, 5), (120, 4))
"""(valid, renew or 0): with the last, a store without quorum has something to extend."""


def setting_of(chance: Random) -> Setting:
    """What a seed plays with."""
    guests = chance.randint(3, 8)
    valid, renew = chance.choice(LIFETIMES)
    manners = tuple(
        Manner(QUICK if chance.random() < 0.8 else REAL, chance.choice((4, 5)), chance.random() < 0.5) for _ in range(3)
    )
    return Setting(
        nodes=chance.choice((2, 3, 3)),
        served=chance.choice((1, 2, 2)),
        guests=guests,
        pool=chance.choice((10, 12, 16)),
        valid=valid,
        renew=renew,
        margin=chance.choice((2.0, 5.0)),
        offer=chance.choice((5, 30)),
        allocator=chance.choice(("hashed", "hashed", "ordered")),
        loss=chance.choice(("extend-known", "extend-known", "strict")),
        authoritative=chance.random() < 0.3,
        nested_pass=chance.random() < 0.7,
        keeper=chance.random() < 0.6,
        manners=manners,
    )


def document(setting: Setting) -> str:
    """As an operator would write it."""
    renew = f"renew-time: {setting.renew}s\nrebind-time: {2 * setting.renew}s\n" if setting.renew else ""
    last = 99 + setting.pool
    how = f"allocator: {setting.allocator}, pools"
    return f"""\
schema: 1
valid-lifetime: {setting.valid}s
{renew}offer-lifetime: {setting.offer}s
decline-probation: 8s
authoritative: {str(setting.authoritative).lower()}
cluster: {{clock-margin: {setting.margin:.0f}s, on-quorum-loss: {setting.loss}}}
subnets:
  - {{id: 1, prefix: 10.77.0.0/24, link: office, {how}: [{{range: 10.77.0.100-10.77.0.{last}}}]}}
  - {{id: 2, prefix: 10.78.0.0/24, {how}: [{{range: 10.78.0.100-10.78.0.{last}}}]}}
"""

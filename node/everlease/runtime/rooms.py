"""The rooms of one running node, as the edges (admin, metrics, health) see them; `everlease.node` furnishes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from everlease.runtime.condition import StoreCondition
from everlease.store.feed import Feed

if TYPE_CHECKING:
    from everlease.runtime.clock import ClusterClock
    from everlease.runtime.committer import Committer
    from everlease.runtime.configuration import Configuration
    from everlease.runtime.counters import Counters
    from everlease.runtime.lifeline import Lifeline
    from everlease.runtime.membership import Membership
    from everlease.runtime.offers import OfferTable
    from everlease.runtime.responder import Responder
    from everlease.store.api import Store
    from everlease.store.keys import Keys
    from everlease.store.upkeep import Upkeep
    from everlease.store.view import View


@dataclass(slots=True)
class Rooms:
    """One node's parts. `lifeline` holds the node's state (joining, serving, ...) and its reason.

    `condition` is the store's, in the keeper's words; certificates: when those of the edges end, seconds UTC, by use;
    feed: what the view's watch brings, told on.
    """

    name: str
    keys: Keys
    store: Store
    view: View
    clock: ClusterClock
    counters: Counters
    configuration: Configuration
    membership: Membership
    offers: OfferTable
    committer: Committer
    responder: Responder
    lifeline: Lifeline
    condition: StoreCondition = field(default_factory=StoreCondition)
    upkeep: Upkeep | None = None
    feed: Feed = field(default_factory=Feed)
    certificates: dict[str, Callable[[], float]] = field(default_factory=lambda: {"admin": lambda: inf})

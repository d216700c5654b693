"""Which nodes answer: presence, judged by our own monotonic clock, and the candidates that follow from it.

The law of this file: a node is eligible while its presence keeps *changing*; what clock it has does not matter. While
our own presence does not come back we cannot judge anybody, so nobody's age counts: an election must not silence all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from everlease.core.answering import NOBODY, Order, owned_mask, rendezvous
from everlease.core.situation import ALL_BUCKETS, Peers
from everlease.runtime.clock import ClusterClock
from everlease.runtime.lifeline import SERVING, Lifeline
from everlease.store.records import Presence, Takeover, dotted, undotted
from everlease.store.view import Peer

PERIOD: Final = 0.5
"""Seconds between two presence commits of a node in a small cluster."""

NODES_PER_SECOND: Final = 50
"""Presence commits per second of a large cluster, all nodes together: each one wakes every node."""

RELAY_MEMORY: Final = 600.0

RELAY_SETTLES: Final = 3
"""Periods from the first packet of a relay until whoever hears it as well has said so, and we have read it."""

OFFERS_LAST: Final = 30.0
"""Seconds for which a node that fell silent, or is skipped, may still have addresses on offer in its memory (default of
offer-lifetime): so long nobody else offers addresses of its buckets without a commit."""

RELAYS: Final = 256
"""Relays that a presence names, the latest heard; 4 KB at most, because every node reads every presence."""

TAKEOVERS: Final = 3
TAKEOVER_WINDOW: Final = 10.0
SKIP_FIRST, SKIP_LONGEST = 60.0, 600.0
_PEERS_CACHED: Final = 4096


@dataclass(slots=True)
class Member:
    """Another node, as its presence shows it. seen_at: when it last changed, seconds of CLOCK_BOOTTIME.

    offset: its wall clock less our CLOCK_BOOTTIME then. identifiers: its own addresses, by which clients select it.
    """

    name: str
    presence: Presence
    seen_at: float
    offset: float
    links: frozenset[str]
    relays: frozenset[int]
    identifiers: frozenset[int]


@dataclass(slots=True)
class _Skip:
    """How often a node had to be taken over on a link, and until when it is skipped there (cluster time)."""

    times: deque[float] = field(default_factory=lambda: deque(maxlen=TAKEOVERS))
    span: float = 0.0
    until: float = 0.0


class Membership:
    """Presence of all nodes. `peers` is the hot path's question; the rest happens twice a second.

    links: what this node serves now, place -> own addresses ("" holds those of `--listen`). A place is a link's label,
    or its prefix where the operator gave none: `eth0` of two hosts may be two links. places: label -> place.
    news: called when this node hears a relay for the first time, or skips a node: the others should know soon.
    """

    def __init__(self, name: str, boot_id: str, clock: ClusterClock, lifeline: Lifeline) -> None:
        self.name = name
        self.boot_id = boot_id
        self.links: dict[str, tuple[int, ...]] = {}
        self.places: dict[str, str] = {}
        self.admin = ""
        self.remember = 86_400.0
        self.members: dict[str, Member] = {}
        self.eligible: frozenset[str] = frozenset({name})
        self.own: Peer | None = None
        self.sequence = 0
        self.frozen = True
        self.news: Callable[[], None] = lambda: None
        self._clock = clock
        self._lifeline = lifeline
        self._sent: deque[tuple[int, float]] = deque(maxlen=64)
        self._relays: dict[int, float] = {}
        self._new_relays: dict[int, float] = {}
        self._offerers: dict[str, float] = {}
        self._dead: dict[int, tuple[str, float]] = {}
        self._skips: dict[tuple[str, str], _Skip] = {}
        self._skipped: frozenset[tuple[str, str]] = frozenset()
        self._peers: dict[tuple[str, int], Peers] = {}
        self._orders: dict[tuple[str, int], tuple[Order, float]] = {}
        self._judged_at = self._reordered_at = clock.boot()

    @property
    def period(self) -> float:
        """Seconds between two own presence commits."""
        return max(PERIOD, (1 + len(self.members)) / NODES_PER_SECOND)

    # --- what the watch tells -----------------------------------------------------------------------------------------

    def observe(self, name: str, peer: Peer | None, now: float) -> None:
        """A presence changed, or is gone (None). now: CLOCK_BOOTTIME."""
        if name == self.name:
            self._observe_own(peer, now)
            return
        before = self.members.pop(name, None)
        if peer is None:
            self._bury(before, now)
        else:
            self.members[name] = self._member(name, peer.presence, now)
        if _says(self.members.get(name)) != _says(before):
            self._reorder(self._clock.boot())
            self.judge(now)

    def _observe_own(self, peer: Peer | None, now: float) -> None:
        self.own = peer
        if peer is None or peer.presence.boot != self.boot_id:
            return
        for sequence, sent_at in self._sent:
            if sequence == peer.presence.sequence:
                self._lifeline.echoed(sent_at, now)
        if self.frozen:  # now others can be judged, before the first packet is
            self.judge(now)

    def _member(self, name: str, presence: Presence, now: float) -> Member:
        identifiers = frozenset(undotted(address) for addresses in presence.links.values() for address in addresses)
        for address in identifiers:
            self._dead[address] = (name, now + self.remember)
        relays = frozenset(undotted(relay) for relay in presence.relays)
        return Member(name, presence, now, presence.clock - now, frozenset(presence.links), relays, identifiers)

    def _bury(self, member: Member | None, now: float) -> None:
        for address in member.identifiers if member else ():
            self._dead[address] = (member.name if member else "", now + self.remember)

    # --- twice a second -----------------------------------------------------------------------------------------------

    def judge(self, now: float) -> None:
        """Decide who is eligible; nobody's silence counts for the time in which our own echo was late."""
        elapsed, self._judged_at = now - self._judged_at, now
        self.frozen = now - self._lifeline.echo_at > 2 * self.period
        if self.frozen:
            for member in self.members.values():
                member.seen_at += elapsed
        else:
            self._elect(now)
        self._skip(now)  # also while frozen: that clients had to ask twice is no guess

    def _elect(self, now: float) -> None:
        eligible = {name for name, member in self.members.items() if self._is_eligible(member, now)}
        if self._lifeline.state == SERVING:
            eligible.add(self.name)
        if eligible != self.eligible:
            self.eligible = frozenset(eligible)
            self._reorder(now)
        self._offerers.update(dict.fromkeys(eligible, now))
        self._forget(now)

    def _is_eligible(self, member: Member, now: float) -> bool:
        return member.presence.state == SERVING and self.is_fresh(member, now)

    def is_fresh(self, member: Member, now: float) -> bool:
        """Whether its presence changed within three of its periods."""
        return now - member.seen_at <= 3 * max(member.presence.period, self.period)

    def offsets(self, now: float) -> list[float]:
        """The fresh nodes' wall clocks less our CLOCK_BOOTTIME, for `ClusterClock.follow`."""
        return [member.offset for member in self.members.values() if self.is_fresh(member, now)]

    def _skip(self, now: float) -> None:
        skipped = self._gather_skips(now)
        if skipped != self._skipped:
            self._skipped = skipped
            self._reorder(now)

    def _gather_skips(self, now: float) -> frozenset[tuple[str, str]]:
        time = self._clock.now()
        published = [
            entry
            for member in self.members.values()
            if self.is_fresh(member, now)
            for entry in member.presence.takeovers
        ]
        return frozenset((entry.node, entry.link) for entry in [*published, *self._own_skips()] if entry.until > time)

    def _own_skips(self) -> list[Takeover]:
        time = self._clock.now()
        return [Takeover(node, link, skip.until) for (link, node), skip in self._skips.items() if skip.until > time]

    def _forget(self, now: float) -> None:
        for relay in [relay for relay, at in self._relays.items() if now - at > RELAY_MEMORY]:
            del self._relays[relay]
        settled = [relay for relay, at in self._new_relays.items() if now - at > RELAY_SETTLES * self.period]
        for relay in settled:
            del self._new_relays[relay]
        silent = [name for name, at in self._offerers.items() if now - at > OFFERS_LAST]
        for name in silent:
            del self._offerers[name]
        if settled or silent:
            self._reorder(self._clock.boot())
        for address in [address for address, (_, until) in self._dead.items() if until < now]:
            del self._dead[address]

    # --- our own presence ---------------------------------------------------------------------------------------------

    def presence(self, view_revision: int, config_revision: int, version: str) -> Presence:
        """The next presence of this node; its coming back counts as an echo of this moment."""
        self.sequence += 1
        self._sent.append((self.sequence, self._clock.boot()))
        latest = sorted(self._relays, key=self._relays.__getitem__, reverse=True)[:RELAYS]
        return Presence(
            boot=self.boot_id,
            sequence=self.sequence,
            state=self._lifeline.state,
            clock=self._clock.wall(),
            view=view_revision,
            config=config_revision,
            links={label: [dotted(address) for address in own] for label, own in self.links.items()},
            relays=[dotted(relay) for relay in latest],
            takeovers=self._own_skips(),
            admin=self.admin,
            version=version,
            period=self.period,
            reason="" if self._lifeline.state == SERVING else self._lifeline.reason,
        )

    def serve(self, links: Mapping[str, Iterable[int]], places: Mapping[str, str]) -> None:
        """What this node serves from now on: place -> own addresses; and label -> place."""
        self.links = {place: tuple(addresses) for place, addresses in links.items()}
        self.places = dict(places)
        self._reorder(self._clock.boot())

    def buckets(self) -> dict[str, int]:
        """How many of the 256 client buckets each eligible node owns, all links taken together; for people."""
        order = rendezvous(self.eligible)
        owners = [names[0] for names in order if names]
        return {name: owners.count(name) for name in sorted(self.eligible)}

    def hear_relay(self, relay: int, now: float) -> None:
        """A packet came through this relay (giaddr)."""
        if relay not in self._relays:
            if len(self._relays) >= 2 * RELAYS:
                del self._relays[oldest := min(self._relays, key=self._relays.__getitem__)]
                self._new_relays.pop(oldest, None)
            self._new_relays[relay] = now
            self._peers.pop(("", relay), None)
            self.news()
        self._relays[relay] = now

    # --- the hot path -------------------------------------------------------------------------------------------------

    def peers(self, link: str, relay: int) -> Peers:
        """The candidates for a packet: by its relay if it has one (relay 0 = none), else by its link's label.

        Who answers may be a guess, and may change at any moment; who offers an address from memory may not: addresses
        are divided between all who may have some on offer, and, while a relay is new, between all who might hear it.
        """
        key = ("", relay) if relay else (self.places.get(link, link), 0)
        found = self._peers.get(key)
        if found is None:
            if len(self._peers) >= _PEERS_CACHED:
                self._peers.clear()
            found = self._peers[key] = self._make_peers(*key)
        return found

    def _make_peers(self, link: str, relay: int) -> Peers:
        names = self._hearing(self.eligible, link, relay)
        place = place_of(link, relay)
        skipped = {name for name in names if (name, place) in self._skipped}
        active = names - skipped or names
        order = rendezvous(frozenset(active))
        if active != names:  # the skipped ones come last: they still are candidates for a third copy
            rest = rendezvous(frozenset(names - active))
            order = tuple(first + last for first, last in zip(order, rest, strict=True))
        settled = relay not in self._new_relays
        offerers = self._hearing(self._offerers, link, relay) if settled else {self.name, *self._offerers}
        owned = owned_mask(rendezvous(frozenset(offerers)), self.name) if len(offerers) > 1 else ALL_BUCKETS
        since = self._since((link, relay), order)
        return Peers(self.name, frozenset(names), order, owned, self._identifiers(), settled, since)

    def _since(self, key: tuple[str, int], order: Order) -> float:
        """Since when this is the order; 0 = as long as anybody asked."""
        before, since = self._orders.get(key, (order, 0.0))
        if before != order:
            since = self._reordered_at
        if len(self._orders) >= _PEERS_CACHED:
            self._orders.clear()
        self._orders[key] = order, since
        return since

    def _reorder(self, now: float) -> None:
        self._reordered_at = now
        self._peers.clear()

    def _hearing(self, names: Iterable[str], link: str, relay: int) -> set[str]:
        """Those that hear this link or relay as far as we know, and we."""
        members = [member for name in names if (member := self.members.get(name)) is not None]
        return {
            self.name,
            *(each.name for each in members if (relay in each.relays if relay else link in each.links)),
        }

    def _identifiers(self) -> dict[int, str]:
        """Whom a server identifier names: a living member before a dead one, NOBODY where several share it."""
        known = {address: name for address, (name, _) in self._dead.items()}
        own = frozenset(address for addresses in self.links.values() for address in addresses)
        claimed: set[int] = set()
        for name, addresses in [(self.name, own), *((each.name, each.identifiers) for each in self.members.values())]:
            known.update({address: NOBODY if address in claimed else name for address in addresses})
            claimed |= addresses
        return known

    def take_over(self, link: str, relay: int, owner: str) -> None:
        """A client of `owner` was answered by us after it had asked again, and its change was committed."""
        now, place = self._clock.now(), place_of(self.places.get(link, link), relay)
        skip = self._skips.setdefault((place, owner), _Skip())
        skip.times.append(now)
        if skip.until > now or len(skip.times) < TAKEOVERS or now - skip.times[0] > TAKEOVER_WINDOW:
            return
        relapsed = skip.until and now - skip.until < SKIP_LONGEST
        skip.span = min(2 * skip.span, SKIP_LONGEST) if relapsed else SKIP_FIRST
        skip.until = now + skip.span
        skip.times.clear()
        self._skip(self._clock.boot())
        self.news()


def _says(member: Member | None) -> object:
    """What of a presence others act upon at once."""
    return member and (member.presence.state, member.links, member.relays, member.presence.takeovers)


def place_of(link: str, relay: int) -> str:
    """The name of a link, or of the wire behind a relay, in takeovers."""
    return f"relay {dotted(relay)}" if relay else link

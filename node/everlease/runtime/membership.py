"""Who is there: presence of all nodes, judged by our own monotonic clock, and what follows for who answers.

The law of this file: a node is eligible while its presence keeps *changing*; what clock it has does not matter. While
our own presence does not come back we cannot judge anybody, so nobody's age counts: an election must not silence all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Final

from everlease.core.answering import rendezvous
from everlease.core.situation import Peers
from everlease.runtime.candidates import Candidates
from everlease.runtime.clock import ClusterClock
from everlease.runtime.lifeline import SERVING, Lifeline
from everlease.runtime.members import Identifiers, Member, member_of
from everlease.runtime.relays import Relays
from everlease.runtime.takeovers import Takeovers, place_of, skipped
from everlease.store.records import Presence, dotted
from everlease.store.view import Peer

PERIOD: Final = 0.5
"""Seconds between two presence commits of a node in a small cluster."""

NODES_PER_SECOND: Final = 50
"""Presence commits per second of a large cluster, all nodes together: each one wakes every node."""

PERIODS: Final = 3
"""Without a change for which a node is not eligible."""

BACK_WITHIN: Final = 1
"""Periods, once commits go on, in which a node says so that was late before they stopped: all retry at once. Who dies
together with the store's leader is not waited for twice, and who is passed over too early still answers."""


class Membership:
    """Presence of all nodes. `peers` is the hot path's question; the rest happens twice a second.

    links: what this node serves now, place -> own addresses ("" holds those of `--listen`). A place is a link's label,
    or its prefix where the operator gave none: `eth0` of two hosts may be two links. places: label -> place.
    remember: seconds for which a client may still name a node that is gone. restored: until when a rollback of the
    store is being lived down, cluster time. frozen: our own echo is late, so nobody is judged.
    due: when somebody's or something's time is up, CLOCK_BOOTTIME: `judge` then, and not only twice a second.
    news: called when this node hears a relay for the first time, or skips a node: the others should know soon.
    on_restored: called with what another node says of `restored`, when it is later than what we know.
    """

    def __init__(self, name: str, boot_id: str, clock: ClusterClock, lifeline: Lifeline) -> None:
        self.name = name
        self.boot_id = boot_id
        self.links: dict[str, tuple[int, ...]] = {}
        self.places: dict[str, str] = {}
        self.admin = ""
        self.ahead = ""
        self.remember = 86_400.0
        self.restored = 0.0
        self.members: dict[str, Member] = {}
        self.own: Peer | None = None
        self.sequence = 0
        self.frozen = True
        self.due = inf
        self.news: Callable[[], None] = lambda: None
        self.on_restored: Callable[[float], None] = lambda _until: None
        self._clock = clock
        self._lifeline = lifeline
        self._sent: deque[tuple[int, float]] = deque(maxlen=64)
        self._relays = Relays()
        self._takeovers = Takeovers()
        self._identifiers = Identifiers()
        self._candidates = Candidates(name, self.members, self._relays, self._identify)
        self._judged_at = clock.boot()

    @property
    def period(self) -> float:
        """Seconds between two own presence commits."""
        return max(PERIOD, (1 + len(self.members)) / NODES_PER_SECOND)

    @property
    def eligible(self) -> frozenset[str]:
        """Nodes that may answer."""
        return self._candidates.eligible

    # --- what the watch tells -----------------------------------------------------------------------------------------

    def observe(self, name: str, peer: Peer | None, now: float) -> None:
        """A presence changed, or is gone (None). now: CLOCK_BOOTTIME."""
        if name == self.name:
            self._observe_own(peer, now)
            return
        before = self.members.pop(name, None)
        if peer is None:
            if before is not None:
                self._identifiers.remember(before, now + self.remember)
        else:
            member = self.members[name] = member_of(name, peer.presence, now, self._sample(peer.presence, before, now))
            self._identifiers.remember(member, now + self.remember)
            if peer.presence.restored > self.restored:
                self.on_restored(peer.presence.restored)
        if _says(self.members.get(name)) != _says(before):
            self._candidates.change(now)
            self.judge(now)

    def _sample(self, presence: Presence, before: Member | None, now: float) -> float | None:
        """Its clock, unless the watch may have lain still: then the presence is older than it seems."""
        if self._lifeline.fresh(now):
            return presence.clock - now
        return before.offset if before is not None and before.presence.boot == presence.boot else None

    def _observe_own(self, peer: Peer | None, now: float) -> None:
        self.own = peer
        if peer is None or peer.presence.boot != self.boot_id:
            return
        for sequence, sent_at in self._sent:
            if sequence == peer.presence.sequence:
                self._lifeline.echoed(sent_at, now)
        if self.frozen:  # now others can be judged, before the first packet is
            self.judge(now)

    # --- twice a second -----------------------------------------------------------------------------------------------

    def judge(self, now: float) -> None:
        """Decide who is eligible; nobody's silence counts for the time in which our own echo was late."""
        began, self._judged_at, self.due = self._judged_at, now, inf
        late, was_frozen = now - self._lifeline.echo_at, self.frozen
        self.frozen = late > 2 * self.period
        if self.frozen:
            self._stop_counting(now - began if was_frozen else late, now)
        else:
            if was_frozen:
                self._go_on(now)
            self._elect(now)
        time = self._clock.now()
        published = [entry for member in self._fresh(now) for entry in member.presence.takeovers]
        # Also while frozen: that clients had to ask twice is no guess.
        self._candidates.skip(skipped([*published, *self._takeovers.own(time)], time), now)
        self.due = min(self.due, self._candidates.part(now))

    def _stop_counting(self, seconds: float, now: float) -> None:
        for member in self.members.values():
            member.seen_at = min(member.seen_at + seconds, now)

    def _go_on(self, now: float) -> None:
        for member in self.members.values():
            patience = self._patience(member)
            if now - member.told_at > patience:
                member.seen_at = min(member.seen_at, now - patience + BACK_WITHIN * self.period)

    def _elect(self, now: float) -> None:
        fresh = self._fresh(now)
        self.due = min((member.seen_at + self._patience(member) for member in fresh), default=inf)
        eligible = {member.name for member in fresh if member.presence.state == SERVING}
        if self._lifeline.state == SERVING:
            eligible.add(self.name)
        self._candidates.elect(frozenset(eligible), now)
        if self._relays.forget(now, self.period, self._candidates.told_at()):
            self._candidates.change(now)
        self._identifiers.forget(now)
        self._takeovers.forget(self._clock.now())

    def _fresh(self, now: float) -> list[Member]:
        return [member for member in self.members.values() if self.is_fresh(member, now)]

    def is_fresh(self, member: Member, now: float) -> bool:
        """Whether its presence changed within three of its periods."""
        return now - member.seen_at <= self._patience(member)

    def _patience(self, member: Member) -> float:
        return PERIODS * max(member.presence.period, self.period)

    def offsets(self, now: float) -> list[float]:
        """The fresh nodes' wall clocks less our CLOCK_BOOTTIME, for `ClusterClock.follow`."""
        return [member.offset for member in self._fresh(now) if member.offset is not None]

    def has_unheard(self, now: float) -> bool:
        """Whether there is a fresh node whose clock is not known: it has not spoken since this one can hear."""
        return any(member.offset is None for member in self._fresh(now))

    # --- our own presence ---------------------------------------------------------------------------------------------

    def presence(self, view_revision: int, config_revision: int, version: str) -> Presence:
        """The next presence of this node; its coming back counts as an echo of this moment."""
        self.sequence += 1
        self._sent.append((self.sequence, self._clock.boot()))
        return Presence(
            boot=self.boot_id,
            sequence=self.sequence,
            state=self._lifeline.state,
            clock=self._clock.wall(),
            view=view_revision,
            config=config_revision,
            links={label: [dotted(address) for address in own] for label, own in self.links.items()},
            relays=[dotted(relay) for relay in self._relays.latest()],
            takeovers=self._takeovers.own(self._clock.now()),
            restored=self.restored,
            admin=self.admin,
            ahead=self.ahead,
            version=version,
            period=self.period,
            reason="" if self._lifeline.state == SERVING else self._lifeline.reason,
        )

    def serve(self, links: Mapping[str, Iterable[int]], places: Mapping[str, str]) -> None:
        """What this node serves from now on: place -> own addresses; and label -> place."""
        self.links = {place: tuple(addresses) for place, addresses in links.items()}
        self.places = dict(places)
        now = self._clock.boot()
        self._candidates.change(now)
        self._lifeline.cut_off = not self.links
        self._lifeline.evaluate(now)

    def _identify(self) -> dict[int, str]:
        own = frozenset(address for addresses in self.links.values() for address in addresses)
        return self._identifiers.table(
            [(self.name, own), *((each.name, each.identifiers) for each in self.members.values())]
        )

    def identifiers(self) -> frozenset[int]:
        """Addresses by which clients name members, for as long as they may: those that are gone, too."""
        return frozenset(self._identify())

    def shares(self, identifier: int) -> bool:
        """Whether another member answers with it, too."""
        return any(identifier in each.identifiers for each in self.members.values())

    def buckets(self) -> dict[str, int]:
        """How many of the 256 client buckets each eligible node owns, all links taken together; for people."""
        order = rendezvous(self.eligible)
        owners = [names[0] for names in order if names]
        return {name: owners.count(name) for name in sorted(self.eligible)}

    # --- what packets tell and ask ------------------------------------------------------------------------------------

    def hear_relay(self, relay: int, now: float) -> None:
        """A packet came through this relay (giaddr)."""
        if self._relays.hear(relay, now):
            self._candidates.hear(relay)
            self.news()

    def peers(self, link: str, relay: int) -> Peers:
        """The candidates for a packet: by its relay if it has one (relay 0 = none), else by its link's label."""
        return self._candidates.peers(("", relay) if relay else (self.places.get(link, link), 0))

    def take_over(self, link: str, relay: int, owner: str) -> None:
        """A client of `owner` was answered by us after it had asked again, and its change was committed."""
        if self._takeovers.note(place_of(self.places.get(link, link), relay), owner, self._clock.now()):
            self.judge(self._clock.boot())
            self.news()


def _says(member: Member | None) -> object:
    return member and member.says()

"""Histories made by hand: a clock that a test sets, and a line for each thing that happens.

Law: what a good history needs and the test does not speak of is filled in; what the test is about it says itself.
"""

from __future__ import annotations

from msgspec.structs import replace

from everlease.core.lifecycle import BOUND, RELEASED, Lease
from everlease.store.keys import Keys, index_value
from everlease.store.records import encode_lease, undotted
from faults.history.check import check
from faults.history.events import Beat, Commit, Event, Fault, Line, Mark, Packet, Setup, Told
from faults.history.model import History

DOCUMENT = """
schema: 1
valid-lifetime: 60s
subnets:
  - id: 1
    prefix: 10.77.0.0/16
    link: office
    pools: [{range: 10.77.16.0-10.77.31.255}]
    reservations: [{hw-address: "02:00:00:00:00:99", address: 10.77.16.99}]
"""
START = 1_800_000_000.0
A, B, C = (f"0201020000000{number:03d}" for number in (1, 2, 3))
X, Y, Z = "10.77.16.1", "10.77.16.2", "10.77.16.3"
KEYS = Keys()


def mac_of(client: str) -> str:
    """The MAC in a client key that is made of it."""
    return bytes.fromhex(client)[2:].hex(":")


class Story:
    """Tell what happens, then `history()`. `now` is where the clock stands; `wait` moves it on."""

    def __init__(self, document: str = DOCUMENT) -> None:
        nodes = {"n1": ["10.77.0.2"], "n2": ["10.77.0.3"]}
        self.now = START
        self.revision = 1
        self.events: list[Event] = [Setup(START, nodes, document, {"floor": "office"})]
        self._holders: dict[str, str] = {}
        self._xid = 0

    def history(self) -> History:
        """As the checks want it."""
        return History(self.events)

    def wait(self, seconds: float) -> Story:
        """Time passes."""
        self.now += seconds
        return self

    def _add(self, event: Event) -> Story:
        self.events.append(event)
        self.now += 0.001
        return self

    # --- the wire -----------------------------------------------------------------------------------------------------

    def sends(
        self, client: str, kind: str, address: str = "", xid: int = 0, *, server: str = "", ciaddr: str = ""
    ) -> int:
        """A client's message; its xid. RELEASE and renewals have ciaddr, a REQUEST with server takes an offer."""
        self._xid += 1
        xid = xid or self._xid
        to = "255.255.255.255"
        sent = Packet(self.now, "floor", kind, client, mac_of(client), xid, address, destination=to, server=server)
        self._add(replace(sent, ciaddr=ciaddr))
        return xid

    def answers(self, client: str, kind: str, address: str, xid: int, **fields: object) -> Story:
        """A node's reply; n1 unless told otherwise."""
        lifetime = {"lifetime": 60, "t1": 30, "t2": 52} if kind == "ACK" else {}
        known = {"node": "n1", "source": "10.77.0.2", "server": "10.77.0.2", **lifetime, **fields}
        return self._add(Packet(self.now, "floor", kind, client, mac_of(client), xid, address, **known))  # type: ignore[arg-type]

    # --- the store ----------------------------------------------------------------------------------------------------

    def beats(self) -> Story:
        """The observer reads: what has a higher revision than this was committed later."""
        return self._add(Beat(self.now, self.revision))

    def puts(self, *pairs: tuple[str, str | None]) -> Story:
        """A transaction: all pairs have one revision."""
        self.revision += 1
        for key, value in pairs:
            self.events.append(Commit(self.now, self.revision, key, value))
        self.now += 0.001
        return self

    def record(self, client: str, address: str, state: int = BOUND, expires: float = 90.0) -> tuple[str, str]:
        """The pair of a lease record that ends so many seconds from now."""
        end = int(self.now + expires) + 1
        lease = Lease(
            bytes.fromhex(client), bytes.fromhex(client)[2:], state, int(self.now), end, 60, 1, node="n1", config=1
        )
        return KEYS.lease("default", undotted(address)).decode(), encode_lease(lease).decode()

    def entry(self, client: str, address: str | None) -> tuple[str, str | None]:
        """The pair of a client's index entry; None: deleted."""
        key = KEYS.client("default", 1, bytes.fromhex(client)).decode()
        return key, index_value(undotted(address)).decode() if address else None

    def commits(self, client: str, address: str, state: int = BOUND, expires: float = 90.0) -> Story:
        """A lease record; for a binding the index entry of its client, and none any more of the one before."""
        pairs: list[tuple[str, str | None]] = [self.record(client, address, state, expires)]
        if state == BOUND:
            before = self._holders.get(address, client)
            self._holders[address] = client
            pairs += [self.entry(client, address), *([self.entry(before, None)] if before != client else [])]
        return self.puts(*pairs)

    # --- the rest -----------------------------------------------------------------------------------------------------

    def says(self, client: str, address: str, xid: int, **fields: object) -> Story:
        """A node's line for an ACK, at the present revision."""
        told = Told(self.now, "n1", client, address, 60, self.revision, 1, "request", xid, 0.01, 0.01, len(self.events))
        return self._add(replace(told, **fields))

    def marks(self, what: str) -> Story:
        """The scenario says something."""
        return self._add(Mark(self.now, what))

    def fault(self, id_: str, *, begins: bool = True) -> Story:
        """A fault begins, or ends."""
        return self._add(Fault(self.now, id_, "somewhere", begins))

    def writes(self, text: str, level: str = "info") -> Story:
        """A node's log line."""
        return self._add(Line(self.now, "n1", level, text))

    # --- whole scenes -------------------------------------------------------------------------------------------------

    def binds(self, client: str, address: str, **ack: object) -> int:
        """DISCOVER to ACK, committed and told; the xid."""
        xid = self.sends(client, "DISCOVER")
        self.answers(client, "OFFER", address, xid)
        self.sends(client, "REQUEST", address, xid, server="10.77.0.2")
        self.beats().commits(client, address)
        self.answers(client, "ACK", address, xid, **ack).says(client, address, xid).beats()
        return xid

    def renews(self, client: str, address: str) -> Story:
        """REQUEST in RENEWING to ACK."""
        xid = self.sends(client, "REQUEST", address, ciaddr=address)
        self.beats().commits(client, address)
        return self.answers(client, "ACK", address, xid).says(client, address, xid).beats()

    def releases(self, client: str, address: str) -> Story:
        """RELEASE, and the record that says so."""
        self.sends(client, "RELEASE", address, ciaddr=address)
        return self.commits(client, address, RELEASED, 0.0)


def broken(story: Story) -> set[str]:
    """The ids of the invariants that a story violates."""
    return {violation.id for violation in check(story.history())}

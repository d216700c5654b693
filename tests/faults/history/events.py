"""What a history is made of: one kind of event, one struct, one line of JSON.

Law: `at` is always seconds of this machine's CLOCK_REALTIME: namespaces share it, and no fault steps it (nodes get a
false one by libfaketime). Addresses are dotted text, client keys and MACs hex, because people read these files, too.
"""

from __future__ import annotations

import msgspec


class Setup(msgspec.Struct, tag="setup", frozen=True):
    """The first line. nodes: name -> its addresses on links; prefix: of our keys; document: the configuration (YAML).

    places: label of a client namespace -> link that its eth0 is on ("" = behind a relay).
    """

    at: float
    nodes: dict[str, list[str]]
    document: str
    places: dict[str, str] = {}
    prefix: str = "/everlease"


class Packet(msgspec.Struct, tag="packet", frozen=True):
    """One DHCP message as a client's namespace saw it leave or come.

    kind: "DISCOVER", "ACK"...; client: client key (tag, option 61 or htype and chaddr; hex); node: who sent a reply.
    address: yiaddr of a reply; option 50, else ciaddr, of a request. lifetime, t1, t2: options 51, 58, 59, -1 = not
    there. rest: hex digest of the other options (what the configuration decides), of replies only.
    """

    at: float
    place: str
    kind: str
    client: str
    mac: str
    xid: int
    address: str = ""
    node: str = ""
    source: str = ""
    destination: str = ""
    server: str = ""
    ciaddr: str = ""
    giaddr: str = ""
    secs: int = 0
    lifetime: int = -1
    t1: int = -1
    t2: int = -1
    asked_for: str = ""
    rest: str = ""

    @property
    def is_reply(self) -> bool:
        """Whether a server sent it."""
        return self.kind in ("OFFER", "ACK", "NAK")


class Commit(msgspec.Struct, tag="commit", frozen=True):
    """One key of one etcd revision, as the watch brought it. value: text, None = deleted; before: the previous one.

    at: when the watcher read it: later than the commit. era: how often the store was put back to a snapshot before.
    listed: revision of the listing that a later era begins with; 0 = the watch brought it.
    """

    at: float
    revision: int
    key: str
    value: str | None
    before: str | None = None
    era: int = 0
    listed: int = 0

    @property
    def place(self) -> tuple[int, int]:
        """Where the store's state changed: commits of one place are applied together."""
        return self.era, self.listed or self.revision


class Beat(msgspec.Struct, tag="beat", frozen=True):
    """A linearizable read that began at `at` said `revision`: whatever has a higher one was committed after `at`."""

    at: float
    revision: int
    era: int = 0


class Gap(msgspec.Struct, tag="gap", frozen=True):
    """The recorder missed something (a compaction overtook it, the kernel dropped packets): nothing is proved."""

    at: float
    what: str


class Told(msgspec.Struct, tag="told", frozen=True):
    """A node's line for an ACK (--log-leases). revision: of the transaction, or of the record that was extended.

    config: revision of the configuration; age: seconds from the packet's receipt by the kernel, CLOCK_BOOTTIME;
    committing: seconds since the transaction was started, 0 = none; xid as in the packet; number: of the line in its
    log. `at` is the node's own clock, which a fault may have set wrong.
    """

    at: float
    node: str
    client: str
    address: str
    lifetime: int
    revision: int
    config: int
    operation: str
    xid: int
    age: float
    committing: float
    number: int = 0


class Line(msgspec.Struct, tag="line", frozen=True):
    """Any other line of a node's log; `at` as for Told."""

    at: float
    node: str
    level: str
    text: str


class Fault(msgspec.Struct, tag="fault", frozen=True):
    """A fault begins or ends. id: F1..F31; what: in words, with the host or member that it hits."""

    at: float
    id: str
    what: str
    begins: bool


class Mark(msgspec.Struct, tag="mark", frozen=True):
    """The scenario says something. what: "left" (every client has gone for good), "lossless" (from here on no packet
    is lost on purpose), "applied R" (every node said that it has configuration R), "released ADDRESS" (by an operator),
    "end".
    """

    at: float
    what: str


class Scrape(msgspec.Struct, tag="scrape", frozen=True):
    """/metrics of a node, sample name with its labels -> value: 'everlease_x_total{a="b",c="d"}'."""

    at: float
    node: str
    samples: dict[str, float]


class Usage(msgspec.Struct, tag="usage", frozen=True):
    """What a process uses. of: "node0", "etcd1"...; figures: fds, threads, rss (bytes), keys, db (bytes)..."""

    at: float
    of: str
    figures: dict[str, float]


class Call(msgspec.Struct, tag="call", frozen=True):
    """One call of the admin API (or a compare-and-set on anything) for I17.

    key: what it is about; operation: "read" | "write" | "cas"; given: the value written (cas: expected, value).
    answer: what came back: the value read, or for cas "done" or "refused"; known: False = no answer came.
    """

    at: float
    ended: float
    key: str
    operation: str
    given: tuple[str, ...] = ()
    answer: str = ""
    known: bool = True


Event = Setup | Packet | Commit | Beat | Gap | Told | Line | Fault | Mark | Scrape | Usage | Call

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Event).decode

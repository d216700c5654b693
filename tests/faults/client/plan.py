"""What a load of clients shall do, and what each of them wrote down.

Law: a plan is a value: the same plan with the same seed makes the same clients ask the same things at the same times,
as far as the answers are the same. Both go through files as JSON.
"""

from __future__ import annotations

import msgspec

from lab.guest import MIXED, Behaviour


class Relayed(msgspec.Struct, frozen=True):
    """The clients sit behind a relay agent that this load plays: its giaddr, an address of the namespace, and the
    servers ("10.77.0.2" or "10.77.0.2:1067") to which it sends each broadcast. Renewals go from the client's own
    address to its server; for that the namespace takes every address of `network` ("10.90.0.0/16") for its own.
    """

    giaddr: str
    servers: tuple[str, ...]
    network: str


class Plan(msgspec.Struct, frozen=True):
    """A load. Times are seconds, rates per second, shares 0 to 1.

    rate: new clients that come (DISCOVER, REQUEST; each has a MAC of its own, never seen before).
    stay: how long each of those keeps its address, renewing, before it goes; `releases`: the share that says RELEASE
    when it goes, the others fall silent. declines: the share that answers its first ACK with DECLINE, and begins again.
    residents: clients that are there all the time; they come within `arrive` seconds at the start, renew and never go.
    reboots: residents that lose power each second and come back by INIT-REBOOT.
    renew_every: T1 for everybody, whatever the server says; 0 = as told (option 58, else half of the lifetime). T2 is
    then 1.75 times that, never later than told.
    behaviours: dealt in turn. number: sets this load's MACs (02:d0:NN:...) apart from another's, 0 to 255.
    """

    rate: float = 0.0
    stay: float = 20.0
    releases: float = 1.0
    declines: float = 0.0
    residents: int = 0
    arrive: float = 5.0
    reboots: float = 0.0
    renew_every: float = 0.0
    behaviours: tuple[Behaviour, ...] = MIXED
    seed: int = 1
    number: int = 0
    relayed: Relayed | None = None


class Diary(msgspec.Struct):
    """What one client (one identity) wrote down. Times are UTC seconds by CLOCK_REALTIME; 0 = never happened.

    first_sent: of the conversation that led to the first address; bound_at: when its ACK came.
    tries: copies sent by kind until then (DISCOVER, REQUEST): {"DISCOVER": 1, "REQUEST": 2} = the ACK took two.
    renewals: one row for each later extension, (kind, first copy sent, copies, answered at or 0); kind: "renew",
    "rebind" or "reboot". naks: how many it got; ended: when it went (release or silence); address: its last one.
    """

    mac: str
    behaviour: str
    resident: bool
    first_sent: float = 0.0
    bound_at: float = 0.0
    tries: dict[str, int] = {}
    address: str = ""
    server: str = ""
    lifetime: int = 0
    renewals: list[tuple[str, float, int, float]] = []
    naks: int = 0
    ended: float = 0.0

    @property
    def most(self) -> int:
        """Copies of the message that needed the most: 1 = bound at the first try."""
        return max(self.tries.values(), default=0)

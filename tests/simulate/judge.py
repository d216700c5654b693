"""What must hold after each step, on the exact history: every commit, every reply, every client's belief.

Law: the judge sees true time and asks no node. What it says names the invariant (I1..I22 of the design).
"""

from __future__ import annotations

from everlease.core.identity import client_key
from everlease.core.lifecycle import BOUND, OFFERED, RELEASED, STATE_NAMES, Lease
from everlease.runtime.carrier import PATIENCE
from everlease.runtime.gate import STALE
from everlease.store.api import KeyValue
from everlease.store.keys import CONFIG, LEASES, RESERVATIONS, Keys, parse_address
from everlease.store.records import decode_current, decode_lease, decode_reservation
from everlease.wire import v4
from simulate.guests import Guest, show
from simulate.members import Events
from simulate.wires import Endpoint
from simulate.world import EPOCH, World

KEYS = Keys()


class Judge:
    """margin: the cluster's clock margin, seconds. Its own copy of what etcd holds is made from commits alone."""

    def __init__(self, world: World, margin: float) -> None:
        self.world = world
        self.margin = margin
        self.leases: dict[int, Lease] = {}
        self.index: dict[tuple[int, bytes], int] = {}
        self.bound: dict[tuple[int, bytes], tuple[int, int]] = {}
        self.config = 0
        self.before: dict[int, Lease] = {}
        self.restored = 0
        self.reserved: dict[int, bytes] = {}
        self.guests: dict[bytes, Guest] = {}
        self.acks: dict[tuple[bytes, int], int] = {}
        self.counts: dict[str, int] = {}
        self._written: dict[int, list[tuple[float, Lease]]] = {}
        self._revisions: dict[int, int] = {}

    def rolled_back(self) -> None:
        """etcd's history begins anew from an older state; who has no store extends what was committed before."""
        mvcc = self.world.etcd.mvcc
        self.before = dict(self.leases)
        self.restored = mvcc.revision
        self.leases.clear()
        self.index.clear()
        self.bound.clear()
        self.reserved.clear()
        records, _ = mvcc.get_range(b"\0", b"\xff", mvcc.revision, 0)
        if self.world.recorder is not None:
            self.world.recorder.restored(self.world, mvcc.revision, records)
        for record in records:
            words = KEYS.parse(record.key)
            entry = KEYS.parse_client(record.key)
            assert record.value is not None
            if entry is not None:
                self.index[entry[1], entry[2]] = parse_address(record.value) or 0
            elif words and words[0] == LEASES:
                address = parse_address(words[3]) or 0
                self._note(address, decode_lease(record.value), record.revision)
            elif words and words[0] == RESERVATIONS:
                self.reserved[parse_address(words[3]) or 0] = decode_reservation(record.value, record.revision).value[
                    1:
                ]
            elif words == (CONFIG, b"current"):
                self.config = decode_current(record.value).revision

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def know(self, guest: Guest) -> None:
        """Listen to a client."""
        packet = v4.Packet(chaddr=guest.mac)
        self.guests[client_key(packet, "client-id")] = guest
        guest.used, guest.naked = self.used, self.naked

    # --- clients --------------------------------------------------------------------------------------------------

    def used(self, guest: Guest) -> None:
        """I1: nobody else uses the address."""
        self.count("promises")
        for other in self.guests.values():
            if other is not guest and other.uses(guest.address):
                self.world.violate("I1", f"{show(guest.address)} is used by {other.name} and was given to {guest.name}")

    def naked(self, guest: Guest, node: str) -> None:
        """I3: nobody is refused what is its own."""
        self.count("naks")
        owner = self.reserved.get(
            guest.address, guest.mac
        )  # who has another one's address is refused, and keeps its time
        if guest.uses(guest.address) and owner == guest.mac:
            self.world.violate("I3", f"{guest.name} was refused its own {show(guest.address)} by {node}")

    # --- replies --------------------------------------------------------------------------------------------------

    def sent(self, endpoint: Endpoint, payload: bytes) -> None:
        """A reply leaves a node."""
        packet = v4.parse(payload)
        if packet.message_type == v4.ACK and 51 in packet.options:
            self._acked(endpoint, packet)

    def _acked(self, endpoint: Endpoint, packet: v4.Packet) -> None:
        self.count("acks")
        now, address = self.world.now, packet.yiaddr
        where = f"{endpoint.node} sends ACK {show(address)} to {packet.chaddr.hex(':')}"
        conversation = (packet.chaddr, packet.xid)
        if self.acks.setdefault(conversation, address) != address:
            self.world.violate("I7", f"{where}, and {show(self.acks[conversation])} before")
        asked = endpoint.asked.get(conversation, address)
        if asked != address:
            self.world.violate("I6", f"{where}, who asked for {show(asked)}")
        age = now - endpoint.heard.get(conversation, now)
        if age > STALE + PATIENCE + 0.01:
            self.world.violate("I5", f"{where} {age:.1f} s after it was asked")
        end = EPOCH + now + int.from_bytes(packet.options[51], "big")
        bound = [lease for lease in self._lately(address) if lease.state == BOUND and lease.client[2:] == packet.chaddr]
        if not bound:
            self.world.violate("I2", f"{where}, and no commit says so: {self._describe(address)}")
        elif max(lease.expires_at for lease in bound) + self.margin < end:
            self.world.violate("I4", f"{where} until {end - EPOCH:.1f}, and {self._describe(address)}")

    def _lately(self, address: int) -> list[Lease]:
        """What was on record while an answer may have been on its way."""
        known = self._written.get(address, [])
        while known and known[0][0] < self.world.now - STALE - PATIENCE:
            known.pop(0)
        standing = [table[address] for table in (self.leases, self.before) if address in table]
        return [lease for _, lease in known] + standing

    def _describe(self, address: int) -> str:
        lease = self.leases.get(address)
        return "there is no record" if lease is None else tell(lease)

    # --- commits --------------------------------------------------------------------------------------------------

    def committed(self, revision: int, events: Events) -> None:
        """One revision of etcd."""
        if self.world.recorder is not None:
            self.world.recorder.committed(self.world, revision, events)
        touched: set[int] = set()
        clients: set[tuple[int, bytes]] = set()
        for event, _before in events:
            words = KEYS.parse(event.key)
            entry = KEYS.parse_client(event.key)
            if entry is not None:
                self._indexed((entry[1], entry[2]), event, touched)
                clients.add((entry[1], entry[2]))
            elif words and words[0] == LEASES:
                address = parse_address(words[3]) or 0
                touched.add(address)
                clients |= self._recorded(address, event, revision)
            elif words and words[0] == RESERVATIONS and event.value is not None:
                self.reserved[parse_address(words[3]) or 0] = decode_reservation(event.value, revision).value[1:]
            elif words == (CONFIG, b"current") and event.value is not None:
                self.config = decode_current(event.value).revision
        for address in touched:
            self._whole(address, revision)
        for client in clients:
            self._alone(client, revision)

    def _indexed(self, client: tuple[int, bytes], event: KeyValue, touched: set[int]) -> None:
        old = self.index.pop(client, 0)
        if event.value is not None:
            self.index[client] = parse_address(event.value) or 0
        touched |= {old, self.index.get(client, 0)} - {0}

    def _recorded(self, address: int, event: KeyValue, revision: int) -> set[tuple[int, bytes]]:
        before = self.leases.pop(address, None)
        after = None if event.value is None else decode_lease(event.value)
        void = before is not None and self._is_void(address, before, after)
        if after is not None:
            self._note(address, after, revision)
            self._written.setdefault(address, []).append((self.world.now, after))
            self.count(STATE_NAMES[after.state])
        self.world.note(f"etcd r{revision}: {show(address)} {tell(after) if after else 'deleted'}")
        self._step(address, before, after, void)
        return {(lease.subnet, lease.client) for lease in (before, after) if lease is not None}

    def _note(self, address: int, lease: Lease, revision: int) -> None:
        self.leases[address], self._revisions[address] = lease, revision
        if lease.state == BOUND:
            self.bound[lease.subnet, lease.client] = address, revision

    def _is_void(self, address: int, offer: Lease, after: Lease | None) -> bool:
        """Whether an offer was none any more: its client was bound to another address after it was made, whatever came
        then; or it was restored, and its address goes back to who had it."""
        if offer.state != OFFERED:
            return False
        had = self.before.get(address) if self._revisions[address] <= self.restored else None
        if had is not None and after is not None and (had.client, had.state) == (after.client, BOUND):
            return True
        taken, since = self.bound.get((offer.subnet, offer.client), (0, 0))
        return taken not in (0, address) and since > self._revisions[address]

    def _step(self, address: int, before: Lease | None, after: Lease | None, void: bool) -> None:
        """One record's transition; void: it was an offer, and none any more."""
        now = EPOCH + self.world.now
        where = f"{show(address)}: {tell(before)} -> {tell(after)}"
        if after is not None and after.config != self.config:
            self.world.violate(
                "I14", f"{where}: decided under configuration {after.config}, and {self.config} is in force"
            )
        if after is not None and after.state in (BOUND, OFFERED):
            self._given(address, after, before, where)
        if before is None:
            return
        user = self.guests.get(before.client)
        same = after is not None and after.client == before.client
        if user is not None and user.uses(address) and not (same and after is not None and after.state == BOUND):
            self.world.violate("I12", f"{where}: {user.name} still uses it")
        renewed = same and after is not None and before.state == after.state == BOUND
        if renewed and after.expires_at < before.expires_at:
            self.world.violate("I9", f"{where}: it ends sooner than it did")
        taken = before.state != RELEASED and not same and not void
        if taken and now < before.expires_at + self.margin / 2:
            self.world.violate("I15", f"{where}: {before.expires_at - now:.1f} s before its end")

    def _given(self, address: int, after: Lease, before: Lease | None, where: str) -> None:
        """I1: nobody else believes to have it. I11: it is not reserved for somebody else."""
        for client, guest in self.guests.items():
            if client != after.client and guest.uses(address):
                self.world.violate("I1", f"{where}: {guest.name} still uses it")
        kept = before is not None and before.client == after.client and before.state == BOUND
        owner = self.reserved.get(address)
        if after.state == BOUND and owner is not None and owner != after.client[2:] and not kept:
            self.world.violate("I11", f"{where}: it is reserved for {owner.hex(':')}")

    def _whole(self, address: int, revision: int) -> None:
        """I8: a binding and its client's index entry name each other."""
        lease = self.leases.get(address)
        if lease is not None and lease.state == BOUND and lease.client:
            named = self.index.get((lease.subnet, lease.client), 0)
            if named != address:
                self.world.violate(
                    "I8", f"r{revision}: {show(address)} is {tell(lease)}, whose index names {show(named)}"
                )

    def _alone(self, client: tuple[int, bytes], revision: int) -> None:
        """I8: an index entry names a record. (I6, at most one binding, follows from both.)

        Maybe another's: an offer that is committed takes an address and leaves the index of who had it before.
        """
        address = self.index.get(client, 0)
        if address and address not in self.leases:
            self.world.violate("I8", f"r{revision}: the index of {client[1].hex()} names {show(address)}: no record")


def tell(lease: Lease | None) -> str:
    """A record in a few words."""
    if lease is None:
        return "no record"
    return f"{STATE_NAMES[lease.state]} to {lease.client.hex()} until {lease.expires_at - EPOCH:.0f} by {lease.node}"

"""Reservations into etcd: checked against the document and all others, by the transaction that writes them.

The law of this file: an address, and a client in a subnet, is reserved once, whoever asks at the same time at whichever
node; what was decided under another configuration is refused. A call that is sent again changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest
from msgspec.structs import replace

from everlease.admin.answers import Refusal, config_of, invalid
from everlease.admin.convert import address_of, dotted, space_of
from everlease.admin.made import clash, same_kinds
from everlease.admin.reservation_messages import identity_of, name_of, parameters_of, word_of, written_of
from everlease.config.clerk import MOST, BadReservation, Clerk, Read
from everlease.core.model import EMPTY, Config, Reservation, Subnet
from everlease.core.select import subnet_of
from everlease.errors import ConfigError
from everlease.pb.admin.v1 import reservation_service_pb2 as pb
from everlease.runtime.rooms import Rooms
from everlease.store.api import KeyValue, Result, Unavailable
from everlease.store.parameters import pack
from everlease.store.records import BadRecord, ReservationRecord, decode_reservation_record, encode, undotted
from everlease.store.txn import MAX_CHANGES, Batch, Leaf

DEADLINE: Final = 5.0

ATTEMPTS: Final = 3
"""A batch whose answer was lost is sent again: what it has done already shows in its failure branch."""

STEP: Final = 8
"""Reservations checked between two turns of the loop: at 60 us each, below a millisecond."""

SLICE: Final = 40
"""Transactions of one reservation made between two turns of the loop: at 15 us each."""

FULL: Final = MAX_CHANGES - 1
"""Reservations of a transaction, beside the key that says that something changed."""

IN_FLIGHT: Final = 3
"""Batches at once: the store writes one while this node makes the next."""

LONGEST_AUTHOR: Final = 200


@dataclass(slots=True)
class Draft:
    """A reservation on its way. word: last words of its key; expected: mod revision of the key (0 = none).

    fence: mod revision of the configuration that it was checked against; stale: index entries that may be overwritten,
    with their mod revisions.
    """

    space: str
    word: bytes
    reservation: Reservation
    record: ReservationRecord
    fence: int
    expected: int = 0
    stale: dict[bytes, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Resource name."""
        return name_of(self.space, self.word)


class Reserving:
    """Checks and writes."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._clerk = Clerk()
        self.close = self._clerk.close

    def config(self) -> Config:
        """What reservations are checked against. Raises Refusal."""
        return config_of(self._rooms)

    async def draft(self, message: pb.Reservation, author: str) -> Draft:
        """A message checked by itself, against the document, and against this node's view. Raises Refusal."""
        ((_, found),) = [each async for each in self.drafts([message], author)]
        if isinstance(found, Refusal):
            raise found
        return found

    async def drafts(
        self, messages: Sequence[pb.Reservation], author: str
    ) -> AsyncIterator[tuple[int, Draft | Refusal]]:
        """Each message's place, and its draft or why there is none; the loop turns in between. Raises Refusal."""
        if len(author) > LONGEST_AUTHOR:
            raise invalid("author", f"longer than {LONGEST_AUTHOR} characters")
        places = list(enumerate(messages))
        for start in range(0, len(places), MOST):
            async for found in self._some(places[start : start + MOST], author):
                yield found

    async def _some(
        self, messages: Sequence[tuple[int, pb.Reservation]], author: str
    ) -> AsyncIterator[tuple[int, Draft | Refusal]]:
        config = self.config()
        asked: list[tuple[int, pb.Reservation, Subnet]] = []
        written: list[dict[str, Any]] = []
        for place, message in messages:
            try:
                subnet = _subnet(config, message)
                written.append(written_of(message))
                asked.append((place, message, subnet))
            except Refusal as refused:
                yield place, refused
            if place % STEP == STEP - 1:
                await asyncio.sleep(0)
        try:
            read = await self._clerk.read(config, [(one, each[2]) for one, each in zip(written, asked, strict=True)])
        except ConfigError as away:
            raise Refusal(Code.UNAVAILABLE, str(away)) from away
        for (place, message, subnet), found in zip(asked, read, strict=True):
            try:
                yield place, self._draft(config, subnet, message, found, author)
            except Refusal as refused:
                yield place, refused
            if place % STEP == STEP - 1:
                await asyncio.sleep(0)

    def _draft(self, config: Config, subnet: Subnet, message: pb.Reservation, found: Read, author: str) -> Draft:
        if isinstance(found, BadReservation):
            raise _invalid(found)
        if words := clash(config, found):
            raise Refusal(Code.ALREADY_EXISTS, words)
        record = self._record(message, found, author)
        draft = Draft(subnet.space, word_of(found), found, record, config.mod_revision)
        self._check_known(config, subnet, draft)
        return draft

    # --- writing ------------------------------------------------------------------------------------------------------

    async def put(self, drafts: Sequence[Draft]) -> list[int | Refusal]:
        """Write each by itself; the mod revision of each, or why it is refused. Raises Unavailable, NoSpace."""
        writing: list[asyncio.Task[list[int | Refusal]]] = []
        try:
            async for taken, batch in self._batches(drafts):
                writing.append(asyncio.create_task(self._write(taken, batch)))
                if len(taken) < FULL:
                    await writing[-1]  # the next one may name the same keys: the first of the request comes first
                elif len(writing) >= IN_FLIGHT:
                    await writing[-IN_FLIGHT]
            return [fate for each in writing for fate in await each]
        finally:
            for each in writing:
                each.cancel()

    async def _batches(self, drafts: Sequence[Draft]) -> AsyncIterator[tuple[list[tuple[Draft, Leaf]], Batch]]:
        """As few transactions as they fit into, made in slices."""
        taken: list[tuple[Draft, Leaf]] = []
        batch = self.begin()
        for place, draft in enumerate(drafts):
            leaf = self._leaf(draft)
            if not batch.add(leaf):
                yield taken, batch
                taken, batch = [], self.begin()
                batch.add(leaf)
            taken.append((draft, leaf))
            if place % SLICE == SLICE - 1:
                await asyncio.sleep(0)
        if taken:
            yield taken, batch

    async def _write(self, taken: Sequence[tuple[Draft, Leaf]], batch: Batch) -> list[int | Refusal]:
        results, revision = await self.send(batch)
        return [
            await self._fate(draft, leaf, result, revision)
            for (draft, leaf), result in zip(taken, results, strict=True)
        ]

    async def replace(self, draft: Draft, known: KeyValue) -> int | Refusal:
        """Write a draft over the record that is as `known`; its mod revision, or why it is refused."""
        keys = self._rooms.keys
        old = decode_reservation_record(known.value or b"")
        draft.expected = known.revision
        leaf = self._leaf(draft)
        own = keys.reserved_client(draft.space, draft.reservation.subnet, identity_of(draft.reservation))
        for index in {own, keys.reserved_client(draft.space, old.subnet, identity_of_record(old))}:
            entry = await self.read_key(index)
            if entry is not None and entry.value == draft.word:
                leaf.expect[index] = entry.revision
                if index != own:
                    leaf.deletes.append(index)
        batch = self.begin()
        batch.add(leaf)
        results, revision = await self.send(batch)
        return await self._fate(draft, leaf, results[0], revision)

    async def read(self, space: str, word: bytes) -> KeyValue | None:
        """The record under a key, as etcd has it."""
        return await self.read_key(self._rooms.keys.reservations(space) + word)

    # --- parts --------------------------------------------------------------------------------------------------------

    async def read_key(self, key: bytes) -> KeyValue | None:
        """A key, as etcd has it."""
        page = await self._rooms.store.get_range(key, key + b"\0", limit=1, deadline=DEADLINE)
        return page.records[0] if page.records else None

    def _record(self, message: pb.Reservation, reservation: Reservation, author: str) -> ReservationRecord:
        return ReservationRecord(
            kind=reservation.kind,
            value=reservation.value.hex(),
            subnet=reservation.subnet,
            relay=dotted(reservation.relay),
            address=dotted(reservation.address),
            hostname=reservation.hostname,
            comment=message.description,
            parameters=parameters_of(message),
            compiled=pack(reservation.parameters),
            author=author,
            written_at=self._rooms.clock.now(),
        )

    def _check_known(self, config: Config, subnet: Subnet, draft: Draft) -> None:
        """The same client in the network, under another name: this node's view knows; the transaction has the last word
        on the client's own subnet."""
        view, made = self._rooms.view, draft.reservation
        for member in config.network_of[subnet.id].subnets:
            for kind in same_kinds(made.kind):
                other = view.reservation_of(draft.space, member.id, kind, made.value, made.relay)
                if other is not None and word_of(other) != draft.word:
                    raise _taken(draft.space, word_of(other))

    def _leaf(self, draft: Draft) -> Leaf:
        keys, made = self._rooms.keys, draft.reservation
        key = keys.reservations(draft.space) + draft.word
        index = keys.reserved_client(draft.space, made.subnet, identity_of(made))
        expect = {key: draft.expected, index: draft.stale.get(index, 0), keys.config_current: draft.fence}
        return Leaf(dict(expect), [(key, encode(draft.record)), (index, draft.word)])

    def begin(self) -> Batch:
        """A transaction that begins with the key that whoever puts a document in force compares."""
        batch = Batch(None)
        batch.add(Leaf({}, [(self._rooms.keys.reservations_changed, b"")]))
        return batch

    async def send(self, batch: Batch) -> tuple[Sequence[Result], int]:
        """What became of each but the first, and etcd's revision. Raises Unavailable, NoSpace."""
        for attempt in range(ATTEMPTS):
            try:
                found = await self._rooms.store.batch(batch.request(), DEADLINE)
            except Unavailable:
                if attempt == ATTEMPTS - 1:
                    raise
            else:
                return found.results[1:], found.revision
        raise AssertionError

    async def _fate(self, draft: Draft, leaf: Leaf, result: Result, revision: int) -> int | Refusal:
        key, value = leaf.puts[0]
        if result.succeeded:
            self._rooms.view.apply(KeyValue(key, value, revision))
            return revision
        found = {each.key: each for each in result.found}
        known = found.get(key)
        if known is not None and _same(known, draft.record):
            return known.revision
        if known is not None:
            return changed() if draft.expected else _taken(draft.space, draft.word)
        if draft.expected:
            return changed()
        index = found.get(leaf.puts[1][0])
        if index is not None and not draft.stale:
            return await self._after_index(draft, index)
        return Refusal(Code.ABORTED, "the configuration has changed meanwhile: ask again")

    async def _after_index(self, draft: Draft, entry: KeyValue) -> int | Refusal:
        """The client is reserved, says the index; an entry that names nothing (after a restore) is overwritten."""
        word = entry.value or b""
        if await self.read(draft.space, word) is not None:
            return _taken(draft.space, word)
        draft.stale = {entry.key: entry.revision}
        return (await self.put([draft]))[0]


def changed() -> Refusal:
    """ABORTED: it is not as the caller saw it."""
    return Refusal(Code.ABORTED, "the reservation has been changed meanwhile; nothing was written")


def _taken(space: str, word: bytes) -> Refusal:
    return Refusal(Code.ALREADY_EXISTS, f"{name_of(space, word)} exists already")


def _same(known: KeyValue, record: ReservationRecord) -> bool:
    """Whether what is there was written by the same call before, or by one that said the same."""
    try:
        other = decode_reservation_record(known.value or b"")
    except BadRecord:
        return False
    return replace(other, author="", written_at=0.0) == replace(record, author="", written_at=0.0)


def identity_of_record(record: ReservationRecord) -> str:
    """The word by which its client is known in its subnet."""
    octets = bytes.fromhex(record.value)
    return identity_of(Reservation(record.kind, octets, undotted(record.relay), 0, record.subnet, "", EMPTY))


def _invalid(bad: BadReservation) -> Refusal:
    detail = BadRequest()
    for key, words in bad.findings[:20]:
        detail.field_violations.add(field=key.partition(".")[0].replace("-", "_"), description=words)
    return Refusal(Code.INVALID_ARGUMENT, str(bad), [detail])


def _subnet(config: Config, message: pb.Reservation) -> Subnet:
    """The subnet named, or the one whose prefix holds the address. Raises Refusal."""
    space = space_of(message.space)
    if message.subnet:
        subnet = config.subnets.get(message.subnet)
        if subnet is None or (message.space and subnet.space != space):
            raise invalid(
                "subnet", f"there is no subnet {message.subnet}" + f' in the space "{space}"' * bool(message.space)
            )
        return subnet
    if not message.address:
        raise invalid("subnet", "which one? It follows from an address, and there is none")
    address = address_of(message.address, "address")
    found = subnet_of(config, address)
    if found is None or found.space != space:
        found = next((each for each in config.subnets.values() if each.space == space and each.holds(address)), None)
    if found is None:
        raise invalid("address", f'{dotted(address)} lies in no subnet of the space "{space}"')
    return found

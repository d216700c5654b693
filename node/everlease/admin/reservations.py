"""ReservationService: what is kept for single clients, in the document and beside it.

The law of this file: those of the document are read here and changed there; a listing is one moment of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import grpc
from google.rpc.code_pb2 import Code

from everlease.admin import audit
from everlease.admin.answers import Refusal, answered, config_of, invalid, not_found, unready
from everlease.admin.auth import author_of
from everlease.admin.convert import address_of, space_of
from everlease.admin.made import settled
from everlease.admin.pages import Token, breathing, filters_of, read_token, size_of, write_token
from everlease.admin.reservation_lookup import Matches, in_document, matcher, readable, rest_of
from everlease.admin.reservation_messages import of_document, of_record, parse_name
from everlease.admin.reserving import Draft, Reserving, changed
from everlease.admin.unreserving import Named, Unreserving
from everlease.core.model import Config
from everlease.pb.admin.v1 import reservation_service_pb2 as pb
from everlease.pb.admin.v1 import reservation_service_pb2_grpc
from everlease.runtime.rooms import Rooms
from everlease.store.api import KeyValue
from everlease.store.keys import range_end
from everlease.store.pages import pages
from everlease.store.records import BadRecord, ReservationRecord, decode_reservation_record

MOST: Final = 1000
"""Reservations of one batch: 0.1 s of this node's time, in slices."""

LOOKED: Final = 2000
"""Reservations that one page looks at; then it is sent as it is, and the next one goes on."""

DEADLINE: Final = 5.0
_MUTABLE: Final = (
    "hw_address",
    "client_id",
    "circuit_id",
    "remote_id",
    "relay",
    "hostname",
    "parameters",
    "description",
)
_IDENTIFIERS: Final = frozenset(_MUTABLE[:4])


@dataclass(slots=True)
class _Scan:
    """A page on its way. after: rows of the document passed (-1 = all); word: last one seen of the API's."""

    space: str
    revision: int
    after: int
    word: str
    size: int
    found: list[pb.Reservation] = field(default_factory=list)
    looked: int = 0

    @property
    def full(self) -> bool:
        """Whether the page ends here."""
        return len(self.found) >= self.size or self.looked >= LOOKED


class ReservationService(reservation_service_pb2_grpc.ReservationServiceServicer):
    """Reads both kinds, writes one."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._reserving = Reserving(rooms)
        self._unreserving = Unreserving(rooms, self._reserving)
        self.close = self._reserving.close

    @answered
    async def ListReservations(
        self, request: pb.ListReservationsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListReservationsResponse:
        """One page: the document's by subnet, then the API's by key."""
        filters = filters_of(request)
        token = read_token(request.page_token, filters)
        config = config_of(self._rooms)
        scan = await self._scan(request, token, config)
        matches = matcher(request)
        more = False
        if request.source == pb.RESERVATION_SOURCE_API:
            scan.after = -1
        if scan.after >= 0:
            await self._of_document(scan, config, matches)
            more = scan.after >= 0 or request.source != pb.RESERVATION_SOURCE_CONFIG
        if scan.after < 0 and request.source != pb.RESERVATION_SOURCE_CONFIG:
            more = await self._of_api(scan, matches)
        answer = pb.ListReservationsResponse(reservations=scan.found, config_revision=config.revision)
        if more:
            answer.next_page_token = write_token(Token(scan.revision, scan.after, filters, scan.word))
        return answer

    @answered
    async def GetReservation(
        self, request: pb.GetReservationRequest, context: grpc.aio.ServicerContext
    ) -> pb.Reservation:
        """By name or address."""
        if request.WhichOneof("key") == "address":
            space, word = space_of(request.space), b"%08x" % address_of(request.address, "address")
        else:
            space, word = parse_name(request.name)
        known = await self._reserving.read(space, word)
        if known is not None:
            return of_record(space, word, _decoded(known), known.revision)
        config = config_of(self._rooms)
        kept = await in_document(config, space, word)
        if kept is None:
            raise not_found(f"there is no reservation {request.name or request.address}")
        return of_document(space, kept, config.mod_revision)

    @answered
    async def CreateReservation(
        self, request: pb.CreateReservationRequest, context: grpc.aio.ServicerContext
    ) -> pb.Reservation:
        """One."""
        if request.reservation.name:
            raise invalid("reservation.name", "follows from the address, or from subnet and identifier")
        await settled(self._rooms)
        draft = await self._reserving.draft(request.reservation, author_of(context, request.author))
        if request.validate_only:
            if await self._reserving.read(draft.space, draft.word) is not None:
                raise Refusal(Code.ALREADY_EXISTS, f"{draft.name} exists already")
            return of_record(draft.space, draft.word, draft.record, 0)
        revision = _or_raise((await self._reserving.put([draft]))[0])
        made = of_record(draft.space, draft.word, draft.record, revision)
        audit.record(context, made.name, None, made, revision)
        return made

    @answered
    async def UpdateReservation(
        self, request: pb.UpdateReservationRequest, context: grpc.aio.ServicerContext
    ) -> pb.Reservation:
        """What is kept, or for whom."""
        space, word = parse_name(request.reservation.name)
        await settled(self._rooms)
        known = await self._known(space, word, request.etag)
        before = of_record(space, word, _decoded(known), known.revision)
        wanted = _merged(before, request)
        draft = await self._reserving.draft(wanted, author_of(context, request.author))
        if draft.word != word:
            raise invalid("reservation", "without an address the name says whom it is for: create another one instead")
        if request.validate_only:
            return of_record(space, word, draft.record, known.revision)
        revision = _or_raise(await self._reserving.replace(draft, known))
        after = of_record(space, word, draft.record, revision)
        audit.record(context, after.name, before, after, revision)
        return after

    @answered
    async def DeleteReservation(
        self, request: pb.DeleteReservationRequest, context: grpc.aio.ServicerContext
    ) -> pb.DeleteReservationResponse:
        """Its address goes back to the pools."""
        space, word = parse_name(request.name)
        known = await self._known(space, word, request.etag)
        before = of_record(space, word, _decoded(known), known.revision)
        if not request.validate_only:
            revision = await self._unreserving.one(space, word, known)
            audit.record(context, before.name, before, None, revision)
        return pb.DeleteReservationResponse()

    @answered
    async def BatchCreateReservations(
        self, request: pb.BatchCreateReservationsRequest, context: grpc.aio.ServicerContext
    ) -> pb.BatchCreateReservationsResponse:
        """Each by itself, many in a transaction."""
        if len(request.reservations) > MOST:
            raise invalid("reservations", f"{len(request.reservations)} at once; at most {MOST}")
        await settled(self._rooms)
        answer = pb.BatchCreateReservationsResponse()
        drafts: list[tuple[int, Draft]] = []
        author = author_of(context, request.author)
        async for place, draft in self._reserving.drafts(request.reservations, author):
            if isinstance(draft, Refusal):
                answer.refused.append(_refused(place, draft))
            else:
                drafts.append((place, draft))
        if request.validate_only:
            answer.created_count = len(drafts)
            return answer
        fates = await self._reserving.put([draft for _, draft in drafts])
        for (place, _), fate in zip(drafts, fates, strict=True):
            if isinstance(fate, Refusal):
                answer.refused.append(_refused(place, fate))
            else:
                answer.created_count += 1
        answer.refused.sort(key=lambda each: each.index)
        if answer.created_count:
            names = [draft.name for (_, draft), fate in zip(drafts, fates, strict=True) if isinstance(fate, int)]
            revision = max(fate for fate in fates if isinstance(fate, int))
            audit.record(context, "reservations", None, _some(names), revision)
        return answer

    @answered
    async def BatchDeleteReservations(
        self, request: pb.BatchDeleteReservationsRequest, context: grpc.aio.ServicerContext
    ) -> pb.BatchDeleteReservationsResponse:
        """Each by itself, many in a transaction."""
        if len(request.names) > MOST:
            raise invalid("names", f"{len(request.names)} at once; at most {MOST}")
        config = config_of(self._rooms)
        answer = pb.BatchDeleteReservationsResponse()
        wanted: list[tuple[int, Named]] = []
        async for place, name in breathing(list(enumerate(request.names)), size=1):
            try:
                wanted.append((place, await self._to_delete(config, name)))
            except Refusal as refused:
                answer.refused.append(_refused(place, refused))
        fates: list[int | Refusal] = [0] * len(wanted)
        if not request.validate_only:
            fates = await self._unreserving.many([named for _, named in wanted])
        gone = [request.names[place] for (place, _), fate in zip(wanted, fates, strict=True) if isinstance(fate, int)]
        still = [(place, fate) for (place, _), fate in zip(wanted, fates, strict=True) if isinstance(fate, Refusal)]
        answer.refused.extend(_refused(place, fate) for place, fate in still)
        answer.refused.sort(key=lambda each: each.index)
        answer.deleted_count = len(gone)
        if gone and not request.validate_only:
            revision = max(fate for fate in fates if isinstance(fate, int))
            audit.record(context, "reservations", _some(gone), None, revision)
        return answer

    async def _to_delete(self, config: Config, name: str) -> Named:
        """A name as it is looked up. Raises Refusal: it is no name, or the document's."""
        space, word = parse_name(name)
        if self._rooms.view.reservation_named(space, word) is None and await in_document(config, space, word):
            raise unready("it stands in the configuration document, and is changed there")
        return space, word

    # --- parts --------------------------------------------------------------------------------------------------------

    async def _known(self, space: str, word: bytes, etag: str) -> KeyValue:
        """The record of the API as it is now. Raises Refusal."""
        known = await self._reserving.read(space, word)
        if known is None:
            if await in_document(config_of(self._rooms), space, word) is not None:
                raise unready("it stands in the configuration document, and is changed there")
            raise not_found("there is no such reservation")
        if etag and etag != f"{known.revision:x}":
            raise changed()
        return known

    async def _scan(self, request: pb.ListReservationsRequest, token: Token | None, config: Config) -> _Scan:
        space, size = space_of(request.space), size_of(request.page_size)
        if token is not None:
            if token.after >= 0 and config.mod_revision > token.revision:
                raise Refusal(Code.OUT_OF_RANGE, "the configuration has changed since the first page: start again")
            return _Scan(space, token.revision, token.after, token.word, size)
        key = self._rooms.keys.config_current
        head = await self._rooms.store.get_range(key, key + b"\0", limit=1, deadline=DEADLINE)
        return _Scan(space, head.revision, 0, "", size)

    async def _of_document(self, scan: _Scan, config: Config, matches: Matches) -> None:
        place = scan.after
        async for kept in breathing(rest_of(config, scan.space, place)):
            if scan.full:
                scan.after = place
                return
            place += 1
            scan.looked += 1
            if matches(kept):
                scan.found.append(of_document(scan.space, kept, config.mod_revision))
        scan.after = -1

    async def _of_api(self, scan: _Scan, matches: Matches) -> bool:
        """Read on from the last word; whether there is more."""
        prefix = self._rooms.keys.reservations(scan.space)
        start = prefix + scan.word.encode() + b"\0" if scan.word else prefix
        store, end = self._rooms.store, range_end(prefix)
        async for records in pages(store, start, end, revision=scan.revision, limit=scan.size, deadline=DEADLINE):
            async for each in breathing(records):
                if scan.full:
                    return True
                scan.looked += 1
                scan.word = each.key[len(prefix) :].decode()
                message = readable(scan.space, scan.word.encode(), each, matches)
                if message is not None:
                    scan.found.append(message)
            if scan.full:
                return True
        return False


def _decoded(known: KeyValue) -> ReservationRecord:
    try:
        return decode_reservation_record(known.value or b"")
    except BadRecord as bad:
        raise Refusal(Code.DATA_LOSS, str(bad)) from bad


def _some(names: Sequence[str]) -> str:
    """How many, and which, as far as there is room in an audit record."""
    return f"{len(names)}: {', '.join(names[:50])}"


def _or_raise(fate: int | Refusal) -> int:
    if isinstance(fate, Refusal):
        raise fate
    return fate


def _refused(place: int, refusal: Refusal) -> pb.RefusedReservation:
    fields = [each.field for detail in refusal.details for each in getattr(detail, "field_violations", ())]
    return pb.RefusedReservation(
        index=place, code=refusal.code, message=str(refusal), field=fields[0] if fields else ""
    )


def _merged(before: pb.Reservation, request: pb.UpdateReservationRequest) -> pb.Reservation:
    """What shall be: the fields of the mask, or all that can be changed. Raises Refusal."""
    paths = tuple(request.update_mask.paths) or _MUTABLE
    if strange := [path for path in paths if path not in _MUTABLE]:
        raise invalid("update_mask", f"{', '.join(strange)}: cannot be changed; {', '.join(_MUTABLE)} can")
    wanted = pb.Reservation()
    wanted.CopyFrom(before)
    if _IDENTIFIERS & set(paths):
        named = request.reservation.WhichOneof("identifier")
        if named is not None:
            setattr(wanted, named, getattr(request.reservation, named))
    for path in paths:
        if path == "parameters":
            wanted.parameters.CopyFrom(request.reservation.parameters)
        elif path not in _IDENTIFIERS:
            setattr(wanted, path, getattr(request.reservation, path))
    return wanted

"""ReservationService: addresses and parameters that are kept for single clients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from everlease.client.calls import Ask, Call, Kind, Pages
from everlease.client.methods import rows, unary
from everlease.pb.admin.v1 import reservation_service_pb2 as pb

BATCH: Final = 1000
"""Reservations that one call may create or delete."""

_LIST = Call("ReservationService/ListReservations", pb.ListReservationsResponse)
_GET = Call("ReservationService/GetReservation", pb.Reservation)
_CREATE = Call("ReservationService/CreateReservation", pb.Reservation, Kind.CHANGE)
_UPDATE = Call("ReservationService/UpdateReservation", pb.Reservation, Kind.CHANGE)
_DELETE = Call("ReservationService/DeleteReservation", pb.DeleteReservationResponse, Kind.CHANGE)
_BATCH = Call("ReservationService/BatchCreateReservations", pb.BatchCreateReservationsResponse, Kind.SETS, least=60.0)
_BATCH_DELETE = Call(
    "ReservationService/BatchDeleteReservations", pb.BatchDeleteReservationsResponse, Kind.SETS, least=60.0
)


class Reservations:
    """Methods on reservations."""

    @rows
    def list_reservations(
        self, *, space: str = "", subnet: int = 0, source: str = "unspecified", client: str = "", page_size: int = 0
    ) -> Pages[pb.Reservation]:
        """The document's, then those made through this API. source: "config" or "api"; client: an identifier in
        hexadecimal, or a host name.
        """
        request = pb.ListReservationsRequest(
            space=space,
            subnet=subnet,
            source=f"RESERVATION_SOURCE_{source.upper()}",
            client=client,
            page_size=page_size,
        )
        return Pages(_LIST, request, "reservations")

    @unary
    def get_reservation(self, *, name: str = "", address: str = "", space: str = "") -> Ask[pb.Reservation]:
        """One reservation, by its resource name or its address."""
        request = pb.GetReservationRequest(space=space)
        if name:
            request.name = name
        else:
            request.address = address
        return Ask(_GET, request)

    @unary
    def create_reservation(
        self, reservation: pb.Reservation, *, validate_only: bool = False, author: str = ""
    ) -> Ask[pb.Reservation]:
        """Keep something for a client. Raises Conflict if the address or the client is reserved already."""
        request = pb.CreateReservationRequest(reservation=reservation, validate_only=validate_only, author=author)
        return Ask(_CREATE, request)

    @unary
    def update_reservation(
        self,
        reservation: pb.Reservation,
        *,
        fields: Sequence[str] = (),
        etag: str = "",
        validate_only: bool = False,
        author: str = "",
    ) -> Ask[pb.Reservation]:
        """Change what is kept, or for whom. fields: those to change, () = all; etag: only if it is still this one."""
        request = pb.UpdateReservationRequest(
            reservation=reservation, etag=etag, validate_only=validate_only, author=author
        )
        request.update_mask.paths.extend(fields)
        return Ask(_UPDATE, request)

    @unary
    def delete_reservation(
        self, name: str, *, etag: str = "", validate_only: bool = False, author: str = ""
    ) -> Ask[pb.DeleteReservationResponse]:
        """Keep it no longer. name: "spaces/default/reservations/10.0.0.9"; etag: only if it is still this one."""
        request = pb.DeleteReservationRequest(name=name, etag=etag, validate_only=validate_only, author=author)
        return Ask(_DELETE, request)

    @unary
    def batch_create_reservations(
        self, reservations: Sequence[pb.Reservation], *, validate_only: bool = False, author: str = ""
    ) -> Ask[pb.BatchCreateReservationsResponse]:
        """Up to 1,000, each by itself: the answer says which were refused. Sent again, nothing changes."""
        request = pb.BatchCreateReservationsRequest(
            reservations=reservations, validate_only=validate_only, author=author
        )
        return Ask(_BATCH, request)

    @unary
    def batch_delete_reservations(
        self, names: Sequence[str], *, validate_only: bool = False, author: str = ""
    ) -> Ask[pb.BatchDeleteReservationsResponse]:
        """Up to 1,000, by name, each by itself: the answer says which were refused. Sent again, nothing changes."""
        return Ask(
            _BATCH_DELETE,
            pb.BatchDeleteReservationsRequest(names=names, validate_only=validate_only, author=author),
        )

"""Reservations between the API's messages, the document's keys, the records in etcd and the compiled form.

The law of this file: what is told can be sent again and means the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from google.protobuf.json_format import MessageToDict

from everlease.admin.answers import invalid
from everlease.admin.convert import dotted, etag_of, timestamp
from everlease.config.diff import octets_text
from everlease.config.reservations import KINDS
from everlease.core.model import SEND_ALWAYS, SEND_NEVER, OptionValue, Parameters, Reservation
from everlease.pb.admin.v1 import reservation_service_pb2 as pb
from everlease.store.keys import parse_address
from everlease.store.parameters import unpack
from everlease.store.records import ReservationRecord, undotted

LONGEST_IDENTITY: Final = 64
"""Octets of an identifier that a name spells out; longer ones are hashed."""

NONE: Final = b"none/"
"""Begins the last words of the key of a reservation without an address (store/keys.py)."""

_NAME: Final = re.compile(r"spaces/([a-z0-9-]{1,63})/reservations/([0-9A-Za-z.-]{1,300})")
_FIELDS: Final = {kind: kind.replace("-", "_") for kind in KINDS}
_OUTER: Final = frozenset((*KINDS, "address", "relay", "hostname", "description"))
_DURATIONS: Final = (
    "valid_lifetime", "min_valid_lifetime", "max_valid_lifetime", "renew_time", "rebind_time", "offer_lifetime",
    "affinity", "decline_probation", "authoritative", "rapid_commit",
)  # fmt: skip
_SENT: Final = {SEND_ALWAYS: "always", SEND_NEVER: "never"}


def name_of(space: str, word: bytes) -> str:
    """Resource name of the reservation whose key ends in `word`."""
    address = parse_address(word)
    return f"spaces/{space}/reservations/{dotted(address) if address else word.removeprefix(NONE).decode()}"


def parse_name(name: str) -> tuple[str, bytes]:
    """(space, last words of the key). Raises Refusal."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise invalid("name", f"{name!r} is no name of a reservation: spaces/SPACE/reservations/ID")
    space, text = found.groups()
    if text.count(".") == 3:
        try:
            return space, b"%08x" % undotted(text)
        except (ValueError, OverflowError):
            raise invalid("name", f"{text!r} is no IPv4 address") from None
    return space, NONE + text.encode()


def word_of(reservation: Reservation) -> bytes:
    """Last words of a reservation's key."""
    if reservation.address:
        return b"%08x" % reservation.address
    return NONE + f"{reservation.subnet}-{reservation.kind}-{_spelled(reservation)}".encode()


def identity_of(reservation: Reservation) -> str:
    """What tells clients apart within a subnet: a client identifier may be the hardware address of another kind."""
    kind = "client" if reservation.kind in ("hw-address", "client-id") else reservation.kind
    return f"{kind}-{_spelled(reservation)}"


def _spelled(reservation: Reservation) -> str:
    octets = reservation.value
    text = octets.hex() if len(octets) <= LONGEST_IDENTITY else blake2b(octets, digest_size=32).hexdigest()
    return f"{text}-{reservation.relay:08x}" if reservation.relay else text


def written_of(message: pb.Reservation) -> dict[str, Any]:
    """A message with the document's keys. Raises Refusal."""
    written = parameters_of(message)
    if written.keys() & _OUTER:
        raise invalid("parameters", f"{', '.join(sorted(written.keys() & _OUTER))}: has a field of its own")
    kind = message.WhichOneof("identifier")
    if kind is not None:
        written[kind.replace("_", "-")] = getattr(message, kind)
    for name in ("address", "relay", "hostname", "description"):
        if value := getattr(message, name):
            written[name] = value
    return written


def parameters_of(message: pb.Reservation) -> dict[str, Any]:
    """The parameters of a message as a document would have them: whole numbers are ints."""
    if not message.HasField("parameters"):
        return {}
    found = _whole(MessageToDict(message.parameters))
    assert isinstance(found, dict)
    return found


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(one) for key, one in value.items()}
    return [_whole(one) for one in value] if isinstance(value, list) else value


def of_record(space: str, word: bytes, record: ReservationRecord, revision: int) -> pb.Reservation:
    """One made by the API, as it was written."""
    message = pb.Reservation(
        name=name_of(space, word),
        space=space,
        subnet=record.subnet,
        address=record.address,
        relay=record.relay,
        hostname=record.hostname,
        description=record.comment,
        source=pb.RESERVATION_SOURCE_API,
        update_time=timestamp(record.written_at),
        author=record.author,
        etag=etag_of(revision),
    )
    _identify(message, record.kind, bytes.fromhex(record.value))
    written: dict[str, Any] = dict(record.parameters) or _written(unpack(record.compiled))
    if written:
        message.parameters.update(written)
    return message


def of_document(space: str, reservation: Reservation, revision: int) -> pb.Reservation:
    """One of the document. revision: etcd's, of the configuration in force."""
    message = pb.Reservation(
        name=name_of(space, word_of(reservation)),
        space=space,
        subnet=reservation.subnet,
        address=dotted(reservation.address),
        relay=dotted(reservation.relay),
        hostname=reservation.hostname,
        source=pb.RESERVATION_SOURCE_CONFIG,
        etag=etag_of(revision),
    )
    _identify(message, reservation.kind, reservation.value)
    if written := _written(reservation.parameters):
        message.parameters.update(written)
    return message


def _identify(message: pb.Reservation, kind: str, octets: bytes) -> None:
    if kind in _FIELDS:
        setattr(message, _FIELDS[kind], octets_text(kind, octets))


def _written(parameters: Parameters) -> dict[str, Any]:
    """Compiled parameters with the document's keys; options by code and octets, which fit whatever their type."""
    found: dict[str, Any] = {}
    for name in _DURATIONS:
        if (value := getattr(parameters, name)) is not None:
            found[name.replace("_", "-")] = value
    for name in ("server_hostname", "boot_file_name"):
        if (octets := getattr(parameters, name)) is not None:
            found[name.replace("_", "-")] = octets.decode(errors="replace")
    if parameters.next_server is not None:
        found["next-server"] = dotted(parameters.next_server) or "0.0.0.0"
    if (check := parameters.ping_check) is not None:
        found["ping-check"] = {"enabled": check.enabled, "timeout": check.timeout, "cache": check.cache}
    if parameters.options:
        found["option-data"] = {str(code): _option(one) for code, one in parameters.options.items()}
    return found


def _option(value: OptionValue) -> Mapping[str, str]:
    if value.send == SEND_NEVER:
        return {"send": "never"}
    sent = {"send": _SENT[value.send]} if value.send else {}
    return {"hex": value.data.hex(":")} | sent

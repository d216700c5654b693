"""What the operator's document says for one client, level upon level, and the reply bodies made from it.

The law of this file: global > shared network > subnet > pool > class > reservation, the most specific wins; among
classes the first that matches, as in Kea. What comes out depends on the levels alone, so it is kept and used again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from everlease.core.model import OptionValue, Parameters, PingCheck, Policy, Pool, Reservation, Subnet
from everlease.core.query import Query

if TYPE_CHECKING:
    from everlease.core.bodies import Body

VALID_LIFETIME: Final = 3600
OFFER_LIFETIME: Final = 30
AFFINITY: Final = 7 * 86_400
DECLINE_PROBATION: Final = 86_400

MOST_POLICIES: Final = 1024
"""Policies kept per revision: a stranger chooses among what the operator wrote, but 100,000 reservations may differ."""

SUBNET_MASK: Final = 1
HOST_NAME: Final = 12
TFTP_SERVER_NAME: Final = 66
BOOT_FILE_NAME: Final = 67

_NOTHING: Final = Parameters()


class Resolved:
    """A policy and the reply bodies compiled from it so far (core.bodies bounds them)."""

    __slots__ = ("bodies", "policy")

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.bodies: dict[tuple[int, bytes | None], Body] = {}


def policy_of(query: Query, subnet: Subnet, pool: Pool | None, reservation: Reservation | None) -> Resolved:
    """The policy for a client that gets (or has) an address of `pool`, or one reserved outside the pools."""
    kept = query.situation.config.derived.policies
    key = (
        subnet.id,
        pool.first if pool is not None else 0,
        tuple([each.name for each in query.classes]) if query.classes else (),
        _reservation_key(reservation),
    )
    resolved = kept.get(key)
    if resolved is None:
        resolved = Resolved(resolve(_levels(query, subnet, pool, reservation), subnet, reservation))
        if len(kept) >= MOST_POLICIES:
            del kept[next(iter(kept))]
        kept[key] = resolved
    return resolved


def _reservation_key(reservation: Reservation | None) -> tuple[object, ...] | None:
    if reservation is None or (not reservation.hostname and reservation.parameters == _NOTHING):
        return None
    return (reservation.kind, reservation.value, reservation.relay, reservation.revision)


def _levels(query: Query, subnet: Subnet, pool: Pool | None, reservation: Reservation | None) -> Iterator[Parameters]:
    """Most specific first."""
    if reservation is not None:
        yield reservation.parameters
    for each in query.classes:
        yield each.parameters
    if pool is not None:
        yield pool.parameters
    yield subnet.parameters
    yield query.network.parameters
    yield query.situation.config.parameters


def resolve(levels: Iterator[Parameters], subnet: Subnet, reservation: Reservation | None = None) -> Policy:
    """One policy out of its levels, most specific first."""
    found = tuple(levels)

    def first(name: str, default: object) -> object:
        return next((value for level in found if (value := getattr(level, name)) is not None), default)

    valid = first("valid_lifetime", VALID_LIFETIME)
    values: dict[str, object] = {
        "valid_lifetime": valid,
        # As in Kea: without bounds of its own, a subnet's lifetime is what every client gets.
        "min_valid_lifetime": first("min_valid_lifetime", valid),
        "max_valid_lifetime": first("max_valid_lifetime", valid),
        "renew_time": first("renew_time", None),
        "rebind_time": first("rebind_time", None),
        "offer_lifetime": first("offer_lifetime", OFFER_LIFETIME),
        "affinity": first("affinity", AFFINITY),
        "decline_probation": first("decline_probation", DECLINE_PROBATION),
        "authoritative": first("authoritative", False),
        "rapid_commit": first("rapid_commit", False),
        "next_server": first("next_server", 0),
        "server_hostname": first("server_hostname", b""),
        "boot_file_name": first("boot_file_name", b""),
        "ping_check": first("ping_check", PingCheck()),
    }
    options = _merge(found)
    _complete(options, values, subnet, reservation)
    return Policy(options=options, **values)  # type: ignore[arg-type]


def _merge(levels: tuple[Parameters, ...]) -> dict[int, OptionValue]:
    merged: dict[int, OptionValue] = {}
    for level in reversed(levels):
        merged.update(level.options)
    return merged


def _complete(
    options: dict[int, OptionValue], values: Mapping[str, object], subnet: Subnet, reservation: Reservation | None
) -> None:
    """Options that follow from other settings, where the operator has not written them himself."""
    mask = (0xFFFFFFFF << (32 - subnet.length)) & 0xFFFFFFFF
    options.setdefault(SUBNET_MASK, OptionValue(mask.to_bytes(4, "big")))
    if reservation is not None and reservation.hostname:
        options[HOST_NAME] = OptionValue(reservation.hostname.encode())
    for code, name in ((TFTP_SERVER_NAME, "server_hostname"), (BOOT_FILE_NAME, "boot_file_name")):
        value = values[name]
        if isinstance(value, bytes) and value:
            options.setdefault(code, OptionValue(value))
    server = values["next_server"]
    if isinstance(server, int) and server:
        dotted = ".".join(map(str, server.to_bytes(4, "big")))
        options.setdefault(TFTP_SERVER_NAME, OptionValue(dotted.encode()))

"""Every method of the Python client, once, in an order that makes sense: one table, told by both clients.

Law: a row is a method, what it is given, and what must be so of its answer. `was` holds the answers of the rows before.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from everlease.client import AsyncClient, Client
from everlease.pb.admin.v1.reservation_service_pb2 import Reservation

Was = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """given(was): its arguments; holds(answer, was): the claim; rows: how many of a list are taken, 0 = all."""

    method: str
    holds: Callable[[Any, Was], bool]
    given: Callable[[Was], dict[str, Any]] = field(default=lambda was: {})
    rows: int = 0


def mac(number: int) -> str:
    return f"02:00:5e:00:{number >> 8:02x}:{number & 255:02x}"


def story(number: int) -> list[Row]:
    """number: tells two stories on one cluster apart; 0 to 50."""
    lease, other, kept = (f"10.77.{200 + number}.{last}" for last in (1, 2, 3))
    document = "subnets: [{{id: 1, prefix: 10.77.0.0/16, link: office, description: {0}, pools: [{{range: {1}}}]}}]\n"
    changed = document.format(f"story {number}", "10.77.16.0-10.77.255.250")
    reservation = Reservation(address=kept, hw_address=mac(number * 8 + 3), hostname="camera")
    return [
        Row("get_status", lambda status, was: sum(node.eligible for node in status.nodes) == 3),
        Row("watch_status", lambda seen, was: seen[0].observer == was["get_status"].observer, rows=1),
        Row("validate_config", lambda told, was: told.problems[0].path == "subnets[0].prefix",
            lambda was: {"document": "subnets: [{id: 1, prefix: nonsense}]"}),
        Row("get_config", lambda config, was: config.current and "10.77.0.0/16" in config.document),
        Row("add_lease", lambda made, was: made.hardware_address == mac(number * 8 + 1),
            lambda was: {"address": lease, "hardware_address": mac(number * 8 + 1), "hostname": "desk"}),
        Row("get_lease", lambda found, was: found == was["add_lease"], lambda was: {"address": lease}),
        Row("list_leases", lambda rows, was: [row.address for row in rows] == [lease],
            lambda was: {"client": mac(number * 8 + 1), "state": "bound", "hostname": "DES", "subnet": 1}),
        Row("watch_leases", lambda events, was: events[0].lease.address == lease,
            lambda was: {"client": mac(number * 8 + 1), "snapshot": True}, rows=1),
        Row("release_lease", lambda done, was: done.lease.state != was["get_lease"].state,
            lambda was: {"address": lease, "now": True, "etag": was["get_lease"].etag}),
        Row("clear_declined", lambda done, was: done.cleared_count == 0, lambda was: {"subnet": 1}),
        Row("list_subnets", lambda rows, was: [row.id for row in rows] == [1], lambda was: {"address": other}),
        Row("get_subnet", lambda subnet, was: subnet.usage.size > 60_000, lambda was: {"number": 1}),
        Row("set_subnet_state", lambda done, was: "draining" in " ".join(done.changes),
            lambda was: {"number": 1, "state": "draining", "validate_only": True}),
        Row("create_reservation", lambda made, was: made.source == 2 and made.address == kept,
            lambda was: {"reservation": reservation}),
        Row("get_reservation", lambda found, was: found.etag == was["create_reservation"].etag,
            lambda was: {"address": kept}),
        Row("list_reservations", lambda rows, was: was["get_reservation"] in rows, lambda was: {"source": "api"}),
        Row("update_reservation", lambda made, was: made.hostname == "door",
            lambda was: {"reservation": Reservation(name=was["get_reservation"].name, hostname="door"),
                         "fields": ["hostname"], "etag": was["get_reservation"].etag}),
        Row("batch_create_reservations", lambda done, was: (done.created_count, len(done.refused)) == (1, 1),
            lambda was: {"reservations": [Reservation(address=other, hw_address=mac(number * 8 + 2)),
                                          Reservation(address=kept, hw_address=mac(number * 8 + 4))]}),
        Row("explain", lambda told, was: told.address == other,
            lambda was: {"hardware_address": mac(number * 8 + 2), "link": "office"}),
        Row("delete_reservation", lambda done, was: True,
            lambda was: {"name": was["update_reservation"].name, "etag": was["update_reservation"].etag}),
        Row("batch_delete_reservations", lambda done, was: (done.deleted_count, len(done.refused)) == (2, 1),
            lambda was: {"names": ["nonsense", *(f"spaces/default/reservations/{each}" for each in (other, kept))]}),
        Row("apply_config", lambda done, was: done.config.revision == was["get_config"].revision + 1,
            lambda was: {"document": changed, "expect_revision": was["get_config"].revision, "comment": "a story"}),
        Row("list_config_revisions", lambda rows, was: rows[0].comment == "a story", rows=2),
        Row("diff_configs", lambda told, was: f"story {number}" in told.text_diff,
            lambda was: {"from_revision": was["get_config"].revision}),
        Row("rollback_config", lambda done, was: done.config.revision == was["get_config"].revision + 2,
            lambda was: {"revision": was["get_config"].revision}),
        Row("save_backup", lambda pieces, was: b"".join(piece.data for piece in pieces).endswith(b"\n")),
        Row("restore_backup", lambda told, was: told.leases_added == 0,
            lambda was: {"chunks": [piece.data for piece in was["save_backup"]], "validate_only": True}),
        Row("list_members", lambda told, was: sum(member.leader for member in told.members) == 1),
        Row("list_alarms", lambda told, was: not told.alarms),
        Row("save_snapshot", lambda pieces, was: sum(len(each.data) for each in pieces) == pieces[0].total_bytes),
        Row("drain_node", lambda done, was: True, lambda was: {"node": "node2"}),
        Row("resume_node", lambda done, was: True, lambda was: {"node": "node2"}),
        Row("watch_audit", lambda records, was: records[0].number == 1, lambda was: {"from_number": 1}, rows=1),
    ]  # fmt: skip


UNTOLD = frozenset({"end_recovery", "disarm_alarm"})
"""They want a cluster in trouble: both are refused here, which has a test of its own."""


def tell(client: Client, rows: list[Row]) -> None:
    was: Was = {}
    for row in rows:
        answer = getattr(client, row.method)(**row.given(was))
        if isinstance(answer, Iterator):
            answer = list(islice(answer, row.rows or None))
        was[row.method] = answer
        assert row.holds(answer, was), (row.method, answer)


async def tell_async(client: AsyncClient, rows: list[Row]) -> None:
    was: Was = {}
    for row in rows:
        answer: Awaitable[Any] | AsyncIterator[Any] = getattr(client, row.method)(**row.given(was))
        found: Any = await taken(answer, row.rows) if isinstance(answer, AsyncIterator) else await answer
        was[row.method] = found
        assert row.holds(found, was), (row.method, found)


async def taken(answers: AsyncIterator[Any], most: int) -> list[Any]:
    found = []
    async for each in answers:
        found.append(each)
        if len(found) == most:
            break
    return found

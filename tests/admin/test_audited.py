"""Every method that changes something leaves a record with who, what, before, after and revision: on a real cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence

import pytest

from admin.test_access import METHODS
from admin.three import Three
from everlease.admin.auth import mutates
from everlease.client import AsyncClient, Client
from everlease.pb.admin.v1 import reservation_service_pb2
from everlease.pb.admin.v1.cluster_service_pb2 import AuditRecord
from lab.packet_client import PacketClient

pytestmark = [pytest.mark.root, pytest.mark.etcd]

ADDRESS, RESERVED, BATCH = "10.77.44.1", "10.77.0.44", "10.77.0.45"
MARKER, OTHER = "10.77.0.49", "10.77.0.48"
HARDWARE = "02:44:00:00:00:01"

Audited = tuple[str, Callable[[Client], object], bool, bool]
"""A method, a call of it, and whether there is something before, and after."""


def reservation(address: str, last: int) -> reservation_service_pb2.Reservation:
    return reservation_service_pb2.Reservation(subnet=1, address=address, hw_address=f"02:44:00:00:01:{last:02x}")


def name(address: str) -> str:
    return f"spaces/default/reservations/{address}"


def calls(declined: str) -> list[Audited]:
    changed = reservation(RESERVED, 1)
    changed.name, changed.hostname = name(RESERVED), "printer"
    return [
        ("LeaseService/AddLease", lambda to: to.add_lease(ADDRESS, HARDWARE), False, True),
        ("LeaseService/ReleaseLease", lambda to: to.release_lease(ADDRESS), True, True),
        ("LeaseService/ClearDeclined", lambda to: to.clear_declined(address=declined), True, True),
        ("SubnetService/SetSubnetState", lambda to: to.set_subnet_state(1, "draining", force=True), True, True),
        ("ConfigService/RollbackConfig", lambda to: to.rollback_config(1, force=True), True, True),
        ("ConfigService/ApplyConfig", lambda to: to.apply_config(DOCUMENT, force=True), True, True),
        ("ReservationService/CreateReservation",
         lambda to: to.create_reservation(reservation(RESERVED, 1)), False, True),
        ("ReservationService/UpdateReservation", lambda to: to.update_reservation(changed), True, True),
        ("ReservationService/DeleteReservation", lambda to: to.delete_reservation(name(RESERVED)), True, False),
        ("ReservationService/BatchCreateReservations",
         lambda to: to.batch_create_reservations([reservation(BATCH, 2)]), False, True),
        ("ReservationService/BatchDeleteReservations",
         lambda to: to.batch_delete_reservations([name(BATCH)]), True, False),
        ("ClusterService/DrainNode", lambda to: to.drain_node("node2"), False, True),
        ("ClusterService/ResumeNode", lambda to: to.resume_node("node2"), True, False),
    ]  # fmt: skip


DOCUMENT = """\
subnets:
  - {id: 1, prefix: 10.77.0.0/16, link: office, pools: [{range: 10.77.16.0-10.77.255.249}]}
"""
APART = ("RestoreBackup", "EndRecovery", "DisarmAlarm")
"""The first two have a test of their own below; the last one needs a member in trouble (tests/backup)."""


def declined_address(three: Three) -> str:
    """Of a lease that its client has just declined."""
    client = PacketClient(three.site.client("decliner"))
    ack = client.obtain().packet
    client.decline(ack.yiaddr, int.from_bytes(ack.options[54], "big"))
    client.close()
    return ".".join(map(str, ack.yiaddr.to_bytes(4, "big")))


def behind(client: Client, marker: str) -> Iterator[AuditRecord]:
    """The records to come: a reservation of this address is made, and read past."""
    records = iter(client.watch_audit(1))
    client.create_reservation(reservation(marker, int(marker.rpartition(".")[2])))
    while next(records).resource != name(marker):
        pass
    return records


def test_each_change_is_a_record_that_says_who_what_before_after_and_revision(three: Three) -> None:
    table = calls(declined_address(three))
    known = {method.rpartition(".")[2] for method in METHODS if mutates(method) and "/everlease." in method}
    assert {method for method, *_ in table} == {each for each in known if not each.endswith(APART)}
    with Client(three.servers[0]) as client:
        records = behind(client, MARKER)
        for method, call, before, after in table:
            call(client)
            record = next(records)
            assert record.method == f"everlease.admin.v1.{method}"
            assert (record.caller, record.role, record.node) == ("local", "admin", "node0")
            assert (bool(record.before), bool(record.after)) == (before, after), record
            assert record.resource
            assert record.revision > 0
        try_and_repeat(client)
        client.delete_reservation(name(MARKER))
        assert next(records).resource == name(MARKER)


def test_a_restore_is_a_record_as_it_begins_and_as_it_ends_and_so_is_the_end_of_a_recovery(three: Three) -> None:
    with Client(three.servers[0]) as client:
        records = behind(client, OTHER)
        data = [piece.data for piece in client.save_backup()]  # a save changes nothing, and leaves no record
        client.restore_backup(data, validate_only=True)
        client.restore_backup(data, recovery="on")
        client.end_recovery()
        begun, done, ended = (next(records) for _ in range(3))
        for record, method in ((begun, "RestoreBackup"), (done, "RestoreBackup"), (ended, "EndRecovery")):
            assert record.method == f"everlease.admin.v1.BackupService/{method}"
            assert (record.caller, record.role, record.node) == ("local", "admin", "node0")
        assert "leases, configuration" in begun.before and begun.before == done.before
        assert (begun.after, begun.resource, done.resource) == ("a restore has begun", "backups/-", "backups/-")
        assert '"reservationsKept"' in done.after
        assert ended.before.startswith("until ") and not ended.after
        assert 0 < begun.revision <= done.revision < ended.revision
        client.delete_reservation(name(OTHER))


def marked(records: Iterable[AuditRecord], marks: Sequence[str]) -> list[tuple[str, str]]:
    """Who told of these resources, until each was told of."""
    found: list[tuple[str, str]] = []
    for record in records:
        if record.resource in marks:
            found.append((record.node, record.resource))
        if len(found) == len(marks):
            break
    return found


async def marked_async(three: Three, marks: Sequence[str]) -> list[tuple[str, str]]:
    """The same, of those that are kept, by the other client."""
    found: list[tuple[str, str]] = []
    async with AsyncClient(three.server) as client:
        async for record in client.watch_audits(past=True):
            found += [(record.node, record.resource)] * (record.resource in marks)
            if len(found) == len(marks):
                break
    return sorted(found)


def test_the_changes_of_all_nodes_are_one_stream_and_a_node_that_comes_back_is_heard_again(three: Three) -> None:
    addresses = [f"10.77.0.{last}" for last in (60, 61, 62, 63)]
    marks = [name(address) for address in addresses]
    with Client(three.server) as client:
        records = client.watch_audits(past=True)
        for number, address in enumerate(addresses[:3]):
            client.only(three.servers[number]).create_reservation(reservation(address, 60 + number))
        assert sorted(marked(records, marks[:3])) == [(f"node{number}", marks[number]) for number in range(3)]
        three.site.nodes[1].kill()
        three.heal()
        client.only(three.servers[1]).create_reservation(reservation(addresses[3], 63))
        assert marked(records, marks[3:]) == [("node1", marks[3])]
        kept = [("node0", marks[0]), ("node1", marks[3]), ("node2", marks[2])]
        assert asyncio.run(marked_async(three, [mark for _, mark in kept])) == kept
        assert client.batch_delete_reservations(marks).deleted_count == len(marks)


def try_and_repeat(client: Client) -> None:
    """What changes nothing leaves no record: a dry run, and the same again."""
    client.apply_config(f"{DOCUMENT}# not yet\n", validate_only=True)
    client.apply_config(DOCUMENT)
    client.create_reservation(reservation("10.77.0.46", 4), validate_only=True)

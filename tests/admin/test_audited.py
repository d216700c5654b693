"""Every method that changes something leaves a record with who, what, before, after and revision: on a real cluster."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from admin.test_access import METHODS
from admin.three import Three
from everlease.admin.auth import mutates
from everlease.client import Client
from everlease.pb.admin.v1 import reservation_service_pb2
from lab.packet_client import PacketClient

pytestmark = [pytest.mark.root, pytest.mark.etcd]

ADDRESS, RESERVED, OTHER, MARKER = "10.77.44.1", "10.77.0.44", "10.77.0.45", "10.77.0.49"
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
         lambda to: to.batch_create_reservations([reservation(OTHER, 2)]), False, True),
        ("ClusterService/DrainNode", lambda to: to.drain_node("node2"), False, True),
        ("ClusterService/ResumeNode", lambda to: to.resume_node("node2"), True, False),
    ]  # fmt: skip


DOCUMENT = """\
subnets:
  - {id: 1, prefix: 10.77.0.0/16, link: office, pools: [{range: 10.77.16.0-10.77.255.249}]}
"""
BACKUP = ("SaveSnapshot", "SaveBackup", "RestoreBackup", "EndRecovery", "DisarmAlarm")
"""Those of the BackupService have stages of their own (tests/backup)."""


def declined_address(three: Three) -> str:
    """Of a lease that its client has just declined."""
    client = PacketClient(three.site.client("decliner"))
    ack = client.obtain().packet
    client.decline(ack.yiaddr, int.from_bytes(ack.options[54], "big"))
    client.close()
    return ".".join(map(str, ack.yiaddr.to_bytes(4, "big")))


def test_each_change_is_a_record_that_says_who_what_before_after_and_revision(three: Three) -> None:
    table = calls(declined_address(three))
    known = {method.rpartition(".")[2] for method in METHODS if mutates(method) and "/everlease." in method}
    assert {method for method, *_ in table} == {each for each in known if not each.endswith(BACKUP)}
    with Client(three.servers[0]) as client:
        records = iter(client.watch_audit(1))
        client.create_reservation(reservation(MARKER, 9))
        while next(records).resource != name(MARKER):
            pass
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
        client.delete_reservation(name(OTHER))


def try_and_repeat(client: Client) -> None:
    """What changes nothing leaves no record: a dry run, and the same again."""
    client.apply_config(f"{DOCUMENT}# not yet\n", validate_only=True)
    client.apply_config(DOCUMENT)
    client.create_reservation(reservation("10.77.0.46", 4), validate_only=True)

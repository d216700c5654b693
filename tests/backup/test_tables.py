"""Leases as CSV and JSON lines: what goes out comes in again; what is wrong is told by its line."""

from __future__ import annotations

import csv
import io

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from backup.made import NOW
from everlease.backup import lease_tables
from everlease.backup.lines import Damaged, Lease
from everlease.backup.tables import CSV, FORMATS, JSONL, write
from everlease.backup.verify import check
from everlease.core.lifecycle import BOUND, DECLINED
from everlease.pb.admin.v1 import lease_service_pb2
from everlease.store.records import decode_lease

LEASES = [
    lease_service_pb2.Lease(
        space="default",
        address="10.77.16.5",
        state=lease_service_pb2.LEASE_STATE_BOUND,
        client="02:01:02:00:00:00:00:01",
        hardware_address="02:00:00:00:00:01",
        subnet=1,
        grant_time=Timestamp(seconds=NOW - 5),
        expire_time=Timestamp(seconds=NOW + 4200),
        valid_lifetime=Duration(seconds=3600),
        hostname='pc, "the" one',
        relay="192.0.2.1",
        relay_information=b"\x01\x02\xff\x00",
        node="n1",
        config_revision=7,
    ),
    lease_service_pb2.Lease(
        space="tenant-b",
        address="10.77.16.6",
        state=lease_service_pb2.LEASE_STATE_DECLINED,
        client="01:aa",
        subnet=2,
        grant_time=Timestamp(seconds=NOW - 5),
        expire_time=Timestamp(seconds=NOW + 60),
    ),
]


def table(form: str) -> str:
    return b"".join(write(map(lease_tables.row_of, LEASES), lease_tables.COLUMNS, form)).decode()


@pytest.mark.parametrize("form", FORMATS)
def test_leases_go_out_and_come_in_as_they_were(form: str) -> None:
    bound, declined = lease_tables.leases(table(form), NOW)
    assert (bound.space, bound.address, declined.space) == ("default", "10.77.16.5", "tenant-b")
    record = decode_lease(bytes(bound.record))
    assert (record.state, record.expires_at, record.valid, record.subnet) == (BOUND, NOW + 4200, 3600, 1)
    assert record.client == bytes.fromhex("0201020000000001")
    assert (record.hostname, record.relay, record.giaddr) == ('pc, "the" one', b"\x01\x02\xff\x00", 0xC0000201)
    assert (record.granted_at, record.node, record.config) == (NOW - 5, "n1", 7)
    assert decode_lease(bytes(declined.record)).state == DECLINED


def test_any_spreadsheet_reads_the_csv() -> None:
    rows = list(csv.DictReader(io.StringIO(table(CSV))))
    assert rows[0]["expires"] == "2027-01-15T09:10:00Z"
    assert rows[0]["hostname"] == 'pc, "the" one'


def test_a_lease_needs_little() -> None:
    row = "10.0.0.9,02-00-00-00-00-09,1,1800000600,600"
    text = f"\ufeffaddress,hardware_address,subnet,expires,valid_lifetime\r\n{row}\r\n"
    (line,) = lease_tables.leases(text, NOW)
    record = decode_lease(bytes(line.record))
    assert (record.client, record.state, record.granted_at) == (bytes.fromhex("0201020000000009"), BOUND, NOW)


def test_offers_stay_behind() -> None:
    assert lease_tables.leases('{"address":"10.0.0.9","state":"offered"}\n', NOW) == []


HEAD = "address,client,subnet,expires,valid_lifetime,state\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("address,mac\n", "line 1: unknown column 'mac'; there are address, client"),
        (HEAD + "10.0.0.9,01aa,1,soon,60,\n", "line 2: expires: 'soon' is no time"),
        (HEAD + "10.0.0.9,01aa,1,,60,\n", "line 2: expires is missing"),
        (HEAD + "10.0.0.9,01aa,one,5,60,\n", "line 2: subnet: 'one' is no number"),
        (HEAD + "10.0.0.9,,1,5,60,\n", "line 2: neither client nor hardware_address"),
        (HEAD + "10.0.0.9,zz,1,5,60,\n", "line 2: client: 'zz' is not hexadecimal"),
        (HEAD + "10.0.0.999,01aa,1,5,60,\n", "line 2: Octet 999"),
        (HEAD + "10.0.0.9,01aa,1,5,60,lost\n", "line 2: 'lost' is no state"),
        (HEAD + "10.0.0.9,01aa,1,5,60,,7\n", "line 2: has more cells"),
        (HEAD + "10.0.0.9,01aa,1,5,60,\n" * 2, "line 3: 10.0.0.9 comes a second time"),
        (HEAD + '"10.0.0.9\n', "not CSV"),
        ('{"address":"10.0.0.9"}\n{"address":\n', "line 1: neither client"),
        ('{"address":[1]}\n', "line 1: not a JSON object"),
        ('{"colour":"blue"}\n', "line 1: unknown column 'colour'"),
    ],
)
def test_what_cannot_be_is_told_by_its_line(text: str, words: str) -> None:
    with pytest.raises(Damaged) as caught:
        lease_tables.leases(text, NOW)
    assert words in str(caught.value)


def test_a_table_of_leases_makes_a_backup_that_comes_from_no_cluster() -> None:
    rows: list[Lease] = lease_tables.leases(table(JSONL), NOW)
    found = check(lease_tables.backup_of(rows, NOW), NOW)
    assert (found.header.revision, found.counts["lease"], found.configuration) == (0, 2, None)

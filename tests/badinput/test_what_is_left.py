"""What all of it has left behind: nothing in the log, names that harm nobody, counters that are true, and records that
the next start can read (rows 4 and 21, I20). Meant to run last, and true by itself as well.
"""

from __future__ import annotations

import csv
import io
import json

import pytest
import yaml

from badinput.besieged import Besieged
from badinput.octets import random_mac
from badinput.table import CASES
from cluster.audit import Records, torn
from everlease.core.lifecycle import STATE_NAMES

pytestmark = [pytest.mark.root, pytest.mark.etcd]

NAMES = [
    b"$(reboot)",
    b"`id`;x",
    b'{"a":1}',
    b"a\nb,c\r\n",
    b"\x1b]0;x\7\x1b[2J",
    b"\xff\xfe\x80",
    b"[red]x[/red]",
    b"...",
]
HARMLESS = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.")
COLUMNS = ("hostname", "client", "hardware_address", "relay_information")


@pytest.fixture
def leased(besieged: Besieged) -> int:
    """Every bad packet again, and leases for clients with bad names; how many of the latter."""
    for case in CASES:
        (besieged.relay.send_octets if case.relayed else besieged.link.send_frame)(case.payload)
    for name in NAMES:
        besieged.link.mac = random_mac()
        odd = {12: name, 60: name, 61: b"\0" + name, 77: name, 81: b"\0\0\0" + name}
        besieged.link.request(besieged.link.discover(odd), odd)
    besieged.settled()
    return len(NAMES)


def test_row_21_names_in_lists_logs_and_metrics_harm_nobody(besieged: Besieged, leased: int) -> None:
    rows = json.loads(besieged.node.cli("lease", "list", "--output", "json"))
    assert len(rows) >= leased
    assert all(set(row["hostname"]) <= HARMLESS for row in rows)
    assert yaml.safe_load(besieged.node.cli("lease", "list", "--output", "yaml")) == rows
    table = list(csv.DictReader(io.StringIO(besieged.node.cli("lease", "list", "--output", "csv"))))
    assert [[row[name] for name in COLUMNS] for row in table] == [[row[name] for name in COLUMNS] for row in rows]
    shown = besieged.node.cli("lease", "list")
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert len(shown.splitlines()) == len(rows) + 1
    told = besieged.node.log.read_text(errors="backslashreplace") + str(besieged.node.metrics())
    assert not any(word in told for word in ("$(reboot", "`id`", "\x1b", "[red]", "\\xff\\xfe", "\\u001b"))


def test_i20_every_packet_on_the_wire_is_one_reply_or_one_drop(besieged: Besieged, leased: int) -> None:
    assert sum(besieged.settled().values()) == besieged.sent
    assert besieged.faults() == []


def test_row_4_a_restart_reads_every_record_that_was_ever_written(besieged: Besieged, leased: int) -> None:
    records = Records(besieged.site.etcd)
    assert list(torn(records)) == []
    besieged.restart()
    node = besieged.node
    assert node.metric("everlease_view_unreadable_records_total") == 0
    assert node.metric("everlease_view_leases") == len(records.leases)
    assert {STATE_NAMES[lease.state] for lease in records.leases.values()} >= {"bound"}
    assert besieged.link.obtain().kind == "ACK"
    assert besieged.faults() == []

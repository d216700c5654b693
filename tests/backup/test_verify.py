"""A backup proves that it is whole and readable, and names the first line that is not."""

from __future__ import annotations

import hashlib
import json
import subprocess
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backup.made import DOCUMENT, NOW, POOL, backup, configuration, head, lease, reservation, rows
from everlease.backup import lines
from everlease.backup.files import read, save, write_whole
from everlease.backup.lines import Damaged
from everlease.backup.verify import check, verify
from everlease.store.records import encode_lease

WHOLE = backup()


def damage(data: bytes) -> str:
    with pytest.raises(Damaged) as caught:
        check([data], NOW)
    return str(caught.value)


def test_a_whole_backup_says_what_it_holds() -> None:
    found = check([WHOLE], NOW)
    assert found.header.revision == 42
    assert found.counts == {
        "configuration": 1, "document": 1, "reservation": 1, "drain": 1, "lease": 3, "unreadable": 0,
    }  # fmt: skip
    assert found.configuration is not None
    assert (found.configuration.revision, found.configuration.author) == (3, "anna")
    assert found.live == 3


def test_it_is_read_with_the_tools_of_any_machine(tmp_path: Path) -> None:
    file = tmp_path / "backup.jsonl"
    file.write_bytes(WHOLE)
    every = [json.loads(line) for line in file.read_text().splitlines()]
    assert every[0]["kind"] == "everlease-backup"
    assert "".join(line["text"] for line in every if line["kind"] == "document") == DOCUMENT
    assert next(line["address"] for line in every if line["kind"] == "lease") == "10.77.16.0"
    told = subprocess.run(f"head -n -1 {file} | sha256sum", shell=True, capture_output=True, text=True, check=True)
    assert (
        told.stdout.split()[0]
        == every[-1]["sha256"]
        == hashlib.sha256(WHOLE[: WHOLE.rindex(b'{"kind":"end"')]).hexdigest()
    )


@given(st.integers(0, len(WHOLE) - 1))
@settings(deadline=None, max_examples=300)
def test_a_backup_that_was_cut_anywhere_is_told(at: int) -> None:
    damage(WHOLE[:at])


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
@settings(deadline=None, max_examples=300)
def test_no_octet_can_change_unnoticed(at: int, by: int) -> None:
    damage(WHOLE[:at] + bytes([WHOLE[at] ^ by]) + WHOLE[at + 1 :])


@given(st.lists(st.integers(1, len(WHOLE) - 1), max_size=20))
@settings(deadline=None, max_examples=50)
def test_how_it_arrives_does_not_matter(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(WHOLE)]
    pieces = [WHOLE[start:end] for start, end in pairwise(places)]
    assert check(pieces, NOW) == check([WHOLE], NOW)


def test_the_first_damaged_line_is_named() -> None:
    without = WHOLE.splitlines(keepends=True)
    assert damage(b"".join(without[:4] + without[5:])).startswith(
        "line 8: tells of 1 lines of the kind drain, and there are 0"
    )
    assert damage(WHOLE.replace(b'"state":"bound"', b'"state":"stolen"', 1)).startswith("line 6: not a lease record")
    assert damage(WHOLE.replace(b'"lease"', b'"loan"', 1)).startswith("line 6: cannot be read: Invalid value 'loan'")
    assert damage(WHOLE + b"{}\n") == "line 10: stands after the last line"
    assert damage(WHOLE[:-1]) == "line 9: the file ends in the middle of this line: it was cut"
    assert damage(b"".join(without[:-1])) == "the file ends after line 8: it was cut"
    assert damage(b"") == "the file ends before it begins: it was cut"


def test_an_address_may_come_only_once() -> None:
    twice = backup(rows([(POOL, lease(1)), (POOL + 1, lease(2)), (POOL, lease(3))]))
    assert damage(twice) == "line 4: /everlease/v/leases/default/4/0a4d1000 comes a second time"
    assert "line 3" in damage(backup([reservation(1), reservation(1)]))


def test_a_configuration_that_does_not_compile_or_is_not_the_one_applied_is_told() -> None:
    broken = "schema: 1\nsubnets: [{id: 1, prefix: 10.77.0.0/99}]\n"
    assert "configuration 3 does not compile: line 2" in damage(backup(configuration(broken)))
    other = [configuration()[0], *lines.document(DOCUMENT + "# more\n")]
    assert "its digest differs" in damage(backup(other))


def test_long_documents_come_in_parts_and_whole_again() -> None:
    text = DOCUMENT + '# ümläut \\ "\n' * 30_000
    several = configuration(text)
    assert len(several) == 5
    assert check([backup(several)], NOW).configuration is not None


def test_a_later_format_and_other_files_are_refused_by_name() -> None:
    later = lines.Writer()
    data = later.write([msgspec.structs.replace(head(), version=2)]) + later.end()
    assert "format 2 is of a later version" in damage(data)
    assert damage(b"SQLite format 3\0\n") == "line 1: this is no backup of Everlease"
    assert "line 1: longer than" in damage(b"\0" * (lines.LONGEST + 1))


def test_fields_of_a_later_version_are_kept(tmp_path: Path) -> None:
    row = lines.Lease("default", "10.77.16.9", msgspec.Raw(_with_more()))
    file = tmp_path / "b"
    file.write_bytes(backup([row]))
    assert b'"colour":"blue"' in file.read_bytes()
    assert verify(file, NOW).counts["lease"] == 1


def _with_more() -> bytes:
    return encode_lease(lease(9))[:-1] + b',"colour":"blue"}'


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_file_is_there_when_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "backup.jsonl"
    end = save(file, [WHOLE[:100], WHOLE[100:]])
    assert end.counts["lease"] == 3
    assert b"".join(read(file)) == WHOLE
    assert list(tmp_path.iterdir()) == [file]


def test_a_stream_that_was_cut_leaves_no_half_file_and_the_one_that_was_there(tmp_path: Path) -> None:
    file = tmp_path / "backup.jsonl"
    file.write_bytes(b"the one before")
    with pytest.raises(Damaged):
        save(file, [WHOLE[:-50]])
    with pytest.raises(ConnectionError):
        save(file, _failing())
    assert file.read_bytes() == b"the one before"
    assert list(tmp_path.iterdir()) == [file]


def _failing():
    yield WHOLE[:200]
    raise ConnectionError("the node is gone")


@pytest.mark.root
def test_a_full_disk_leaves_no_half_file() -> None:
    folder = Path("/dev/shm") / "everlease-test-full"
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True)
    try:
        with pytest.raises(OSError, match="No space left"):
            write_whole(folder / "backup.jsonl", (b"x" * 4096 for _ in range(100)))
        assert list(folder.iterdir()) == []
    finally:
        subprocess.run(["umount", folder], check=True)
        folder.rmdir()

"""Where snapshots go: whole or not there, and never more of them than are kept. Files, pipes and streams; no etcd."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from everlease.errors import ConfigError
from everlease.runtime.keeper.schedule import HABIT, RETRY, Schedule, due
from everlease.store.api import Unavailable
from everlease.store.keeping import Taken
from everlease.store.snapshots import DIGEST, Damaged, Directory, Pace, Tar, receive

BODY = bytes(range(256)) * 999
NOW = 1_800_000_000.0


def stream(body: bytes = BODY, digest: bytes | None = None, piece: int = 32 << 10) -> Iterator[tuple[bytes, int]]:
    """As etcd sends it: pieces with what remains of the database, and its digest."""
    for start in range(0, len(body), piece):
        part = body[start : start + piece]
        yield part, len(body) - start - len(part)
    yield digest if digest is not None else hashlib.sha256(body).digest(), 0


def pace() -> Pace:
    return Pace(1e12)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_snapshot_is_a_file_with_the_digest_at_its_end(tmp_path: Path) -> None:
    size = receive(stream(), Directory(tmp_path, 3), "20270101T000000Z", pace())
    (file,) = tmp_path.iterdir()
    assert file.name == "everlease-20270101T000000Z.db"
    assert file.read_bytes() == BODY + hashlib.sha256(BODY).digest()
    assert size == len(BODY) + DIGEST
    assert file.stat().st_mode & 0o777 == 0o600  # it holds every lease


def test_the_newest_ones_are_kept(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("somebody else's")
    sink = Directory(tmp_path, 2)
    for number in range(5):
        receive(stream(), sink, f"2027010{number}", pace())
    assert names(tmp_path) == ["everlease-20270103.db", "everlease-20270104.db", "notes.txt"]


def broken() -> Iterator[tuple[bytes, int]]:
    yield from list(stream())[:3]
    raise Unavailable("the member is gone")


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        (stream(digest=bytes(32)), Damaged),
        (list(stream())[:-1], Damaged),
        (list(stream())[:2], Damaged),
        ([*stream(), (b"more", 0)], Damaged),
        ([], Damaged),
        (broken(), Unavailable),
    ],
    ids=["another digest", "no digest", "cut", "too long", "nothing", "the member is gone"],
)
def test_what_is_not_whole_is_never_there(tmp_path: Path, parts: Iterator[tuple[bytes, int]], error: type) -> None:
    receive(stream(), Directory(tmp_path, 1), "1", pace())
    with pytest.raises(error):
        receive(parts, Directory(tmp_path, 1), "2", pace())
    assert names(tmp_path) == ["everlease-1.db"]


def test_a_part_that_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "everlease-0.part").write_bytes(b"half")
    receive(stream(), Directory(tmp_path, 1), "1", pace())
    assert names(tmp_path) == ["everlease-1.db"]


def test_a_disk_that_is_full_loses_the_snapshot_and_nothing_else(tmp_path: Path) -> None:
    class Full(Directory):
        def write(self, part: bytes) -> None:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        receive(stream(), Full(tmp_path, 1), "1", pace())
    assert names(tmp_path) == []


# --- standard output --------------------------------------------------------------------------------------------------


class Reader(threading.Thread):
    """Reads a pipe to its end."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._out, self.into = os.pipe()
        self.got = b""
        self.start()

    def run(self) -> None:
        with os.fdopen(self._out, "rb") as pipe:
            self.got = pipe.read()

    def archive(self) -> tarfile.TarFile:
        os.close(self.into)
        self.join(10)
        return tarfile.open(fileobj=io.BytesIO(self.got), mode="r|", ignore_zeros=True)


def test_standard_output_is_a_tar_stream_that_unpacks_as_it_comes() -> None:
    reader = Reader()
    sink = Tar(reader.into, now=lambda: NOW)
    for number in range(3):
        receive(stream(), sink, str(number), pace())
    with reader.archive() as archive:
        found = {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]
    assert found == {f"everlease-{number}.db": BODY + hashlib.sha256(BODY).digest() for number in range(3)}


def test_a_snapshot_that_failed_does_not_spoil_the_next_one_in_the_stream() -> None:
    reader = Reader()
    sink = Tar(reader.into)
    with pytest.raises(Unavailable):
        receive(broken(), sink, "bad", pace())
    receive(stream(), sink, "good", pace())
    with reader.archive() as archive:
        found = {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]
    assert found["everlease-good.db"] == BODY + hashlib.sha256(BODY).digest()
    assert found["everlease-bad.db"][-DIGEST:] == bytes(DIGEST)


def test_a_reader_that_does_not_read_is_let_go_of() -> None:
    out, into = os.pipe()
    sink = Tar(into)
    closer = threading.Timer(0.3, sink.close)
    closer.start()
    with pytest.raises(OSError, match="nobody reads"):
        receive(stream(), sink, "1", pace())
    for descriptor in (out, into):
        os.close(descriptor)


# --- pace and schedule ------------------------------------------------------------------------------------------------


def test_the_pace_is_held_and_a_pause_is_not_made_up_for() -> None:
    class Time:
        now = 0.0

        def sleep(self, seconds: float) -> None:
            self.now += seconds

    time = Time()
    paced = Pace(1000.0, lambda: time.now, time.sleep)
    marks = []
    for _ in range(50):
        paced.passed(100)
        marks.append(time.now)
    assert marks[-1] == pytest.approx(5.0, abs=0.1)
    assert all(later - earlier < 0.25 for earlier, later in pairwise(marks))
    time.now += 60
    for _ in range(50):
        paced.passed(100)
    assert time.now - marks[-1] - 60 == pytest.approx(4.0, abs=0.2)  # one second is saved, no more


def test_a_snapshot_is_due_for_who_took_the_last_one_and_a_little_later_for_the_others() -> None:
    last = Taken("n1", NOW, 1000, "x")
    assert due(Taken(), "n2", NOW, 3600)
    assert not due(last, "n1", NOW + 3599, 3600)
    assert due(last, "n1", NOW + 3600, 3600)
    assert not due(last, "n2", NOW + 3600, 3600)
    assert due(last, "n2", NOW + 3600 * (1 + HABIT) + 1, 3600)


def test_one_that_is_being_taken_is_waited_for_and_not_for_ever() -> None:
    taking = Taken("n1", NOW - 9999, 1000, "x", taker="n2", begun=NOW)
    assert not due(taking, "n1", NOW + RETRY - 1, 10)
    assert due(taking, "n1", NOW + RETRY, 10)
    assert not due(taking, "n1", NOW + 3599, 3600)
    assert due(taking, "n1", NOW + 3600, 3600)
    assert due(taking, "n1", NOW - 10, 3600)  # begun in the future: its clock was wrong


@pytest.mark.parametrize(("every", "keep", "words"), [(0.5, 1, "--snapshot-every"), (60, 0, "--snapshot-keep")])
def test_a_schedule_that_makes_no_sense_is_refused(every: float, keep: int, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Schedule("-", every, keep)


def test_a_place_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a directory"):
        Schedule(str(tmp_path / "none")).open()

"""How a history is made and read: intervals, promises, frames, log lines, a file that comes back as it was."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from everlease.lab.etcd import EtcdCluster
from everlease.lab.processes import Process, run, wait_until
from everlease.wire import v4
from faults.history import frames, lines
from faults.history.check import holds
from faults.history.checks.promised import overlaps
from faults.history.events import Beat, Commit, Gap, Line, Told, decode
from faults.history.handmade import START, A, B, Story, X, Y
from faults.history.model import History
from faults.history.promises import promises
from faults.history.replay import states
from lab.capture import Captured
from lab.scope import EtcdScope

TESTS = Path(__file__).resolve().parents[2]

intervals = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12), st.sampled_from("abcd")), max_size=12).map(
    lambda rows: sorted((float(start), float(start + length), owner) for start, length, owner in rows)
)


@given(intervals)
def test_overlaps_are_found_where_a_comparison_of_all_pairs_finds_them(rows: list[tuple[float, float, str]]) -> None:
    dumb = {
        later
        for later, (start, end, owner) in enumerate(rows)
        for start_before, end_before, other in rows[:later]
        if other != owner and end > start and end_before > start
    }
    found = list(overlaps(rows))
    assert {later for _, later in found} == dumb
    for earlier, later in found:
        assert rows[earlier][2] != rows[later][2]
        assert rows[earlier][1] > rows[later][0]


def test_a_promise_lasts_from_its_ack_for_a_lifetime_after_the_last_copy_of_its_request() -> None:
    story = Story()
    xid = story.sends(A, "REQUEST", X, server="10.77.0.2")
    story.wait(4)
    story.sends(A, "REQUEST", X, xid, server="10.77.0.2")
    story.wait(1).answers(A, "ACK", X, xid)
    (promise,) = promises(story.history())
    assert abs(promise.ack.at - (START + 5)) < 0.01
    assert abs(promise.until - (START + 4 + 60)) < 0.01


def test_a_promise_ends_when_its_client_or_an_operator_says_so() -> None:
    story = Story()
    story.binds(A, X)
    story.wait(5).releases(A, X)
    story.binds(B, Y)
    story.wait(5).marks(f"released {Y}")
    first, second = promises(story.history())
    assert first.until - first.ack.at < 6
    assert second.until - second.ack.at < 6


def test_an_ack_that_meets_a_client_which_has_released_meanwhile_promises_nothing() -> None:
    story = Story()
    story.binds(A, X)
    xid = story.sends(A, "REQUEST", X, ciaddr=X)
    story.sends(A, "RELEASE", X, ciaddr=X)
    story.commits(A, X).answers(A, "ACK", X, xid)
    late = promises(story.history())[-1]
    assert late.until == late.ack.at


def test_a_commit_was_not_before_a_read_that_did_not_see_it() -> None:
    history = History([Beat(10.0, 4), Beat(11.0, 4), Beat(12.0, 6), Beat(13.0, 6), Beat(13.5, 5)])  # the last is stale
    assert history.not_before(Commit(12.5, 5, "k", "")) == 11.0
    assert history.not_before(Commit(14.0, 7, "k", "")) == 13.0
    assert history.not_before(Commit(12.5, 4, "k", "")) == 0.0
    assert history.not_before(Commit(12.5, 5, "k", "", era=1)) == 0.0


def test_a_store_that_was_put_back_is_told_from_the_start() -> None:
    story = Story().commits(A, X).commits(B, Y)
    pairs = [story.record(A, X), story.entry(A, X)]
    story.events += [Commit(story.now, 2 + number, *pair, era=1, listed=9) for number, pair in enumerate(pairs)]
    assert [len(state.leases) for state in states(story.history())] == [1, 2, 1]
    holds(story.history())  # what is listed is there at once, whenever each was written


def test_an_ack_that_rests_on_a_listed_record_is_durable() -> None:
    story = Story()
    xid = story.sends(A, "REQUEST", X, server="10.77.0.2")
    pairs = [story.record(A, X), story.entry(A, X)]
    story.answers(A, "ACK", X, xid).says(A, X, xid, revision=5)
    story.events += [Commit(story.now, 5, *pair, era=1, listed=9) for pair in pairs]
    holds(story.history())


def test_a_history_is_the_same_after_a_way_through_a_file(tmp_path: Path) -> None:
    story = Story()
    story.binds(A, X)
    story.fault("F1").writes("hello").marks("end")
    story.events.append(Gap(story.now, "two packets"))
    story.history().write(tmp_path / "h.jsonl")
    assert History.read(tmp_path / "h.jsonl").events == story.history().events


def test_a_kept_history_is_checked_offline_by_a_command(tmp_path: Path) -> None:
    story = Story()
    story.binds(A, X)
    story.history().write(tmp_path / "good.jsonl")
    story.wait(1).puts(story.record(B, X))
    story.history().write(tmp_path / "bad.jsonl")
    codes = []
    for name in ("good", "bad"):
        argv = [sys.executable, "-m", "faults.history", str(tmp_path / f"{name}.jsonl")]
        done = subprocess.run(argv, cwd=TESTS, capture_output=True, text=True, check=False)
        codes.append(done.returncode)
    assert codes == [0, 1]
    assert "I15  1 violations" in done.stdout


# --- frames and lines -------------------------------------------------------------------------------------------------


def captured(at: float, packet: v4.Packet, source: int = 0) -> Captured:
    payload = v4.build(packet)
    return Captured(at, False, (b"", b""), source, 0xFFFFFFFF, (68, 67), payload, packet)


def message(kind: int, op: int = v4.BOOTREQUEST, options: dict[int, bytes] | None = None) -> v4.Packet:
    every = {53: bytes([kind]), **(options or {})}
    return v4.Packet(op=op, xid=7, chaddr=b"\x02" * 6, yiaddr=0x0A4D1001, options=every)


def test_a_broadcast_is_one_packet_and_belongs_to_whom_it_was_seen_first_with() -> None:
    discover, offer = message(v4.DISCOVER), message(v4.OFFER, v4.BOOTREPLY, {54: b"\x0a\x4d\0\x02"})
    here = [captured(1.0, discover), captured(1.1003, offer, 0x0A4D0002)]
    there = [captured(1.0002, discover), captured(1.1001, offer, 0x0A4D0002)]
    found = frames.packets({"there": there, "here": here}, {"10.77.0.2": "n1"})
    assert [(packet.kind, packet.place, packet.node) for packet in found] == [
        ("DISCOVER", "here", ""),
        ("OFFER", "here", "n1"),
    ]


def test_what_was_there_twice_in_one_place_was_there_twice() -> None:
    twice = [captured(1.0, message(v4.DISCOVER)), captured(1.01, message(v4.DISCOVER))]
    assert len(frames.packets({"here": twice}, {})) == 2
    again = {"here": [captured(1.0, message(v4.DISCOVER))], "there": [captured(5.0, message(v4.DISCOVER))]}
    assert len(frames.packets(again, {})) == 2


def test_the_rest_of_an_answer_is_what_the_configuration_says_and_not_whose_lease_it_is() -> None:
    one, two, other = (
        frames.packets({"here": [captured(1.0, message(v4.ACK, v4.BOOTREPLY, options))]}, {})[0].rest
        for options in ({3: b"abcd", 51: b"\0\0\0\1"}, {3: b"abcd", 51: b"\0\0\0\2"}, {3: b"abce"})
    )
    assert one == two != other


def test_lines_of_a_log_are_told_apart() -> None:
    stamp = "2027-01-15T08:00:00.500000Z"
    ack = {"client": A, "address": X, "lifetime": 60, "revision": 5, "config": 1, "operation": "renew", "xid": 7}
    ack |= {"age": 0.02, "committing": 0.01, "event": "ack", "timestamp": stamp, "level": "info", "node": "n1"}
    state = {"event": "state", "timestamp": stamp, "level": "info"}
    told, line, broken = lines.read("n1", [json.dumps(ack), json.dumps(state), "Traceback (most recent call last):"])
    assert isinstance(told, Told)
    assert (told.at, told.revision, told.xid, told.number) == (START + 0.5, 5, 7, 0)
    assert isinstance(line, Line)
    assert isinstance(broken, Line)
    assert (line.level, broken.level, broken.at) == ("info", "error", START + 0.5)


# --- the eye on the store ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def watching(cluster: EtcdCluster, prefix: str, file: Path) -> Iterator[Callable[[int], list[Commit]]]:
    """A watcher while the block runs; gives what waits until so many commits are there, and returns all of them."""
    argv = [sys.executable, "-m", "faults.history.watcher", str(file), prefix, *cluster.endpoints]
    watcher = Process(argv, file.with_suffix(".log"), {"PYTHONPATH": str(TESTS)})

    def commits(count: int) -> list[Commit]:
        wait_until(lambda: len(_commits(file)) >= count, 15.0, f"{count} commits seen")
        return _commits(file)

    yield commits
    assert watcher.stop() == 0, watcher.tail()


def _commits(file: Path) -> list[Commit]:
    lines = file.read_bytes().splitlines() if file.exists() else []
    return [event for event in map(decode, lines) if isinstance(event, Commit)]


@pytest.mark.etcd
def test_the_watcher_sees_all_of_the_past_and_what_comes_with_what_was_before(etcd: EtcdScope, tmp_path: Path) -> None:
    key, file = f"{etcd.prefix}/k", tmp_path / "commits.jsonl"
    etcd.cluster.etcdctl("put", key, "1")
    etcd.cluster.etcdctl("put", f"{etcd.prefix}2/k", "somebody else's")
    with watching(etcd.cluster, etcd.prefix, file) as commits:
        commits(1)
        etcd.cluster.etcdctl("put", key, "2")
        etcd.cluster.etcdctl("del", key)
        seen = commits(3)
        wait_until(lambda: _beaten(file) >= seen[-1].revision, 10, "the watcher says that it has come so far")
    assert [(commit.key, commit.value, commit.before) for commit in seen] == [
        (key, "1", None),
        (key, "2", "1"),
        (key, None, "2"),
    ]


def _beaten(file: Path) -> int:
    """The revision of the last beat of all that was written in full."""
    lines = file.read_bytes().split(b"\n")[:-1]
    return max((event.revision for event in map(decode, lines) if isinstance(event, Beat)), default=0)


@pytest.mark.etcd
def test_a_store_that_is_put_back_to_a_snapshot_begins_a_new_era(
    start_etcd: Callable[..., EtcdCluster], tmp_path: Path
) -> None:
    cluster, snapshot, file = start_etcd(members=1), str(tmp_path / "snapshot"), tmp_path / "commits.jsonl"
    cluster.etcdctl("put", "/k/a", "1")
    cluster.etcdctl("snapshot", "save", snapshot)
    with watching(cluster, "/k", file) as commits:
        for value in range(9):
            cluster.etcdctl("put", "/k/b", str(value))
        commits(10)
        cluster.stop()
        restored(cluster, snapshot)
        commits(11)
    assert [(commit.key, commit.value, commit.place) for commit in _commits(file)[10:]] == [("/k/a", "1", (1, 2))]


def restored(cluster: EtcdCluster, snapshot: str) -> None:
    """The only member again, on what the snapshot holds."""
    (member,) = cluster.members
    shutil.rmtree(member.data)
    run(["env", "ETCDCTL_API=3", "etcdctl", "snapshot", "restore", snapshot, f"--data-dir={member.data}"])
    cluster.start()

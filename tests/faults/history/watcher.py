"""The recorder's eye on the store: `python -m faults.history.watcher FILE PREFIX URL [URL ...]`, until SIGTERM.

It writes every commit below the prefix, from revision 1 on with what was there before, and reads ten times a second to
know what was *not* committed yet. Law: a member that says nothing for a while is left for the next one, and what a
compaction took away before it was seen is written down as a gap. A revision that falls is a store that was put back.
"""

from __future__ import annotations

import contextlib
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import IO, Any

import grpc

from everlease.pb.etcd.v1 import etcd_pb2 as pb
from everlease.store.channel import target_of
from everlease.store.keys import range_end
from everlease.store.maintenance import OPTIONS
from faults.history.events import Beat, Commit, Event, Gap, encode

SILENCE = 2.0
"""Seconds without an event after which another member is asked: every node commits its presence twice a second."""

AGAIN = 0.05
BEAT = 0.1
PROMPT = 0.3
"""Seconds; a read that took longer proves nothing (etcd 3.4.23 may answer from before a pause)."""

RESTORED = 3
"""Reads in a row; a single one may come from a member that was paused."""


class Watcher:
    """Two threads, one file."""

    def __init__(self, file: IO[bytes], prefix: str, endpoints: list[str]) -> None:
        self._file = file
        self._prefix = prefix.rstrip("/").encode() + b"/"
        self._channels = [grpc.insecure_channel(target_of(url)[0], options=OPTIONS) for url in endpoints]
        self._lock = threading.Lock()
        self._seen = self._era = self._lower = 0
        self._put_back = False
        self._call: Any = None
        self.ended = threading.Event()

    def write(self, *events: Event) -> None:
        """One line each."""
        with self._lock:
            self._file.write(b"".join(encode(event) + b"\n" for event in events))

    # --- commits ------------------------------------------------------------------------------------------------------

    def watch(self) -> None:
        """Follow the store, from member to member."""
        for channel in cycle(self._channels):
            if self.ended.is_set():
                return
            with contextlib.suppress(grpc.RpcError, queue.Empty):
                self._follow(channel)
            self.ended.wait(AGAIN)  # who has no leader ends a watch as soon as it has begun

    def _follow(self, channel: Any) -> None:
        if self._put_back:
            self._list(channel)
        call = self._call = _watch(channel, self._prefix, self._seen + 1)
        try:
            for answer in _answers(call, self.ended):
                if answer.compact_revision:
                    self._skip(answer.compact_revision)
                    return
                self._take(answer)
        finally:
            call.cancel()

    def _skip(self, oldest: int) -> None:
        self.write(Gap(time.time(), f"revisions {self._seen + 1} to {oldest - 1} were compacted away unseen"))
        self._seen = oldest - 1

    def _list(self, channel: Any) -> None:
        """What a store that was put back to a snapshot holds, with what was committed until it was noticed."""
        whole = pb.RangeRequest(key=self._prefix, range_end=range_end(self._prefix))
        answer = _reading(channel)(whole, timeout=5.0)
        now, self._era, self._seen, self._put_back = time.time(), self._era + 1, answer.header.revision, False
        listed = [
            Commit(now, kv.mod_revision, kv.key.decode(), _text(kv.value), None, self._era, self._seen)
            for kv in answer.kvs
        ]
        self.write(*listed)

    def _take(self, answer: pb.WatchResponse) -> None:
        now, era = time.time(), self._era
        commits = [
            Commit(now, event.kv.mod_revision, event.kv.key.decode(), _value(event), _before(event), era)
            for event in answer.events
            if event.kv.mod_revision > self._seen
        ]
        if commits:
            self.write(*commits)
            if not answer.fragment:
                self._seen = max(commit.revision for commit in commits)

    # --- beats --------------------------------------------------------------------------------------------------------

    def beat(self) -> None:
        """Read, linearizably, one member after the other."""
        for read in cycle([_reading(channel) for channel in self._channels]):
            began, seen, era = time.time(), self._seen, self._era
            try:
                answer = read(pb.RangeRequest(key=self._prefix, keys_only=True), timeout=PROMPT)
            except grpc.RpcError:
                answer = None
            if answer is not None and time.time() - began < PROMPT:
                self._judge(answer.header.revision, seen)
                if answer.header.revision >= seen:
                    self.write(Beat(began, answer.header.revision, era))
            if self.ended.wait(BEAT):
                return

    def _judge(self, revision: int, seen: int) -> None:
        """Three reads below what was seen before them: the store was restored from a snapshot."""
        self._lower = self._lower + 1 if revision < seen else 0
        if self._lower == RESTORED:
            self._lower = 0
            self._put_back = True
            self._call.cancel()


def _reading(channel: Any) -> Any:
    return channel.unary_unary(
        "/etcdserverpb.KV/Range",
        request_serializer=pb.RangeRequest.SerializeToString,
        response_deserializer=pb.RangeResponse.FromString,
    )


def _watch(channel: Any, prefix: bytes, revision: int) -> Any:
    create = pb.WatchCreateRequest(
        key=prefix, range_end=range_end(prefix), start_revision=revision, prev_kv=True, fragment=True
    )
    call = channel.stream_stream(
        "/etcdserverpb.Watch/Watch",
        request_serializer=pb.WatchRequest.SerializeToString,
        response_deserializer=pb.WatchResponse.FromString,
    )
    stop = threading.Event()
    stream = call(_once(pb.WatchRequest(create_request=create), stop), metadata=(("hasleader", "true"),))
    stream.add_callback(stop.set)
    return stream


def _once(request: pb.WatchRequest, stop: threading.Event) -> Iterator[pb.WatchRequest]:
    yield request
    stop.wait()  # the watch lasts as long as its requests


def _answers(call: Any, ended: threading.Event) -> Iterator[pb.WatchResponse]:
    """What comes; queue.Empty after a silence, and at the end of the run."""
    found: queue.Queue[pb.WatchResponse | None] = queue.Queue()
    threading.Thread(target=_pour, args=(call, found), daemon=True).start()
    while not ended.is_set():
        answer = found.get(timeout=SILENCE)
        if answer is None:
            return
        yield answer


def _pour(call: Any, found: queue.Queue[pb.WatchResponse | None]) -> None:
    try:
        for answer in call:
            found.put(answer)
    except grpc.RpcError:
        pass
    found.put(None)


def _value(event: pb.Event) -> str | None:
    return None if event.type == pb.Event.DELETE else _text(event.kv.value)


def _before(event: pb.Event) -> str | None:
    return _text(event.prev_kv.value) if event.prev_kv.key else None


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def main(file: Path, prefix: str, endpoints: list[str]) -> None:
    """The command line."""
    with file.open("wb") as lines:
        watcher = Watcher(lines, prefix, endpoints)
        signal.signal(signal.SIGTERM, lambda *_: watcher.ended.set())
        threads = [threading.Thread(target=work, daemon=True) for work in (watcher.watch, watcher.beat)]
        for thread in threads:
            thread.start()
        while not watcher.ended.wait(0.2):
            lines.flush()
        for thread in threads:
            thread.join(SILENCE + 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])

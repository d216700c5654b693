"""WatchStatus: the cluster's status again whenever it changes, and never faster than the caller wants it.

The law of this file: a change is what an operator would act on. What moves by itself (time, revisions, sizes) is told
along with it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import Final

from google.protobuf.duration_pb2 import Duration

from everlease.admin.answers import invalid
from everlease.admin.seats import Seats
from everlease.pb.admin.v1 import cluster_service_pb2 as pb

LOOK: Final = 0.1
"""Seconds between two looks, and the least between two messages: a look takes a tenth of a millisecond."""

USUAL_LEAST: Final = 0.5
USUAL_MOST: Final = 10.0
_LONGEST: Final = 3600.0
_NUMBER: Final = re.compile(r"\d+(\.\d+)?")


class Statuses:
    """status: as GetStatus tells it."""

    def __init__(self, status: Callable[[], pb.ClusterStatus]) -> None:
        self._status = status
        self._seats = Seats("watches of the cluster")

    async def follow(
        self, request: pb.WatchStatusRequest, clock: Callable[[], float]
    ) -> AsyncIterator[pb.WatchStatusResponse]:
        """Messages without end, the first at once. clock: monotonic, seconds. Raises Refusal."""
        least = _seconds(request, "min_interval", USUAL_LEAST)
        most = max(_seconds(request, "max_interval", USUAL_MOST), least)
        told, told_at = b"", clock() - most
        with self._seats.taken():
            while True:
                now, found = clock(), self._status()
                essence = _essence(found)
                changed = essence != told
                if now - told_at >= (least if changed else most):
                    told, told_at = essence, now
                    yield pb.WatchStatusResponse(status=found, changed=changed)
                await asyncio.sleep(LOOK)


def _essence(status: pb.ClusterStatus) -> bytes:
    """What of a status does not move by itself."""
    bare = pb.ClusterStatus()
    bare.CopyFrom(status)
    for name in ("observe_time", "view_revision", "echo_age", "leases"):
        bare.ClearField(name)
    for node in bare.nodes:
        node.ClearField("presence_age")
        node.ClearField("view_revision")
        node.ClearField("clock_offset")
        node.reason = _NUMBER.sub("#", node.reason)  # "its presence has not changed for 4.1 s"
    for member in bare.members:
        member.ClearField("latency")
        member.ClearField("size_bytes")
    return bare.SerializeToString(deterministic=True)


def _seconds(request: pb.WatchStatusRequest, name: str, usual: float) -> float:
    if not request.HasField(name):
        return usual
    wanted: Duration = getattr(request, name)
    seconds = wanted.seconds + wanted.nanos / 1e9
    if not 0 <= seconds <= _LONGEST:
        raise invalid(name, "from 0 to an hour")
    return max(seconds, LOOK)

"""An etcd: versions, room, alarms, disks, leader, who is there, how it is protected.

Law: only reads, and one transaction that compares and writes nothing, which tells how long a commit takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

from everlease.doctor.findings import BAD, OK, WARN, Finding
from everlease.errors import StoreError
from everlease.store.api import DEFAULT_QUOTA, Store, Unavailable
from everlease.store.channel import Credentials
from everlease.store.etcd import EtcdStore
from everlease.store.maintenance import Maintenance
from everlease.store.txn import Leaf, single
from everlease.store.upkeep import Disk, MemberStatus, Upkeep
from everlease.store.versions import ADVICE, refusal, warnings

TRIES: Final = 5
DEADLINE: Final = 2.0

SLOW_COMMIT, SLOW_FSYNC = 0.05, 0.01
"""Seconds: etcd's own documents ask for an fsync below 10 ms; a commit is two of them and two ways."""

NEARLY_FULL: Final = 0.7
_NOTHING: Final = single(Leaf({b"\0": 0}))


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of one endpoint. status: None = it does not answer; commit: seconds, 0 = none was confirmed.

    disk: None = its /metrics are not on the client port, or not for us.
    """

    endpoint: str
    status: MemberStatus | None
    commit: float
    disk: Disk | None
    ids: frozenset[int]


async def examine(endpoints: Sequence[str], files: tuple[Path | None, Path | None, Path | None]) -> list[Finding]:
    """Everything about the etcd behind these endpoints. files: CA, certificate, key. Raises ConfigError."""
    papers = Credentials(*files)
    store = EtcdStore(endpoints, papers)
    upkeep = Maintenance(store, papers)
    try:
        looks = await asyncio.gather(*(_look(store, upkeep, endpoint) for endpoint in store.rank()))
    finally:
        upkeep.close()
        await store.close()
    return judge(sorted(looks, key=lambda look: look.endpoint))


async def _look(store: Store, upkeep: Upkeep, endpoint: str) -> Look:
    try:
        status = await upkeep.status(endpoint, DEADLINE)
    except Unavailable:
        return Look(endpoint, None, 0.0, None, frozenset())
    return Look(
        endpoint, status, await _commit(store, endpoint), await _disk(upkeep, endpoint), await _ids(upkeep, endpoint)
    )


async def _commit(store: Store, endpoint: str) -> float:
    took = []
    for _ in range(TRIES):
        began = monotonic()
        try:
            await store.batch(_NOTHING, DEADLINE, endpoint)
        except StoreError:
            return 0.0
        took.append(monotonic() - began)
    return median(took)


async def _disk(upkeep: Upkeep, endpoint: str) -> Disk | None:
    try:
        return await upkeep.disk(endpoint, DEADLINE)
    except Unavailable:
        return None


async def _ids(upkeep: Upkeep, endpoint: str) -> frozenset[int]:
    try:
        return await upkeep.members(endpoint, DEADLINE)
    except Unavailable:
        return frozenset()


# --- judging ----------------------------------------------------------------------------------------------------------


def judge(looks: Sequence[Look]) -> list[Finding]:
    """All findings, member by member, then those of the cluster."""
    found = [finding for look in looks for finding in _judge_member(look)]
    seen = [look.status for look in looks if look.status is not None]
    if not seen:
        return [*found, Finding("etcd", "quorum", BAD, "nobody answers", "are the endpoints right, and TLS given?")]
    return [*found, _judge_leader(seen), _judge_size(looks, seen), _judge_quotas(looks), *_judge_alarms(seen)]


def _judge_member(look: Look) -> list[Finding]:
    subject, status = f"etcd {look.endpoint}", look.status
    if status is None:
        advice = "start it, or look at its log: `no space left on device` is the usual reason"
        return [Finding(subject, "answers", BAD, "does not answer", advice)]
    return [
        _judge_version(subject, status.version),
        _judge_commit(subject, look.commit),
        _judge_disk(subject, look.disk),
        _judge_room(subject, status.size, quota_of(look)),
        _judge_protection(subject, look.endpoint),
    ]


def _judge_version(subject: str, version: str) -> Finding:
    if refusal(version):
        return Finding(subject, "version", BAD, f"{version}: can lose what it confirmed", ADVICE)
    faults = warnings(version)
    if faults:
        return Finding(subject, "version", WARN, f"{version}: {'; '.join(faults)}", ADVICE)
    return Finding(subject, "version", OK, version)


def _judge_commit(subject: str, seconds: float) -> Finding:
    if not seconds:
        return Finding(subject, "commit", BAD, "confirms nothing", "look at its disk, and at its way to the others")
    seen = f"takes {seconds * 1000:.1f} ms"
    if seconds > SLOW_COMMIT:
        return Finding(subject, "commit", WARN, seen, "each binding waits for one: a faster disk, a nearer member")
    return Finding(subject, "commit", OK, seen)


def _judge_disk(subject: str, disk: Disk | None) -> Finding:
    if disk is None or not disk.fsyncs:
        advice = "let /metrics be read on the client port, or look at etcd_disk_wal_fsync_duration_seconds elsewhere"
        return Finding(subject, "fsync", WARN, "is not told", advice)
    mean = disk.seconds / disk.fsyncs
    seen = f"took {mean * 1000:.1f} ms on average since it started"
    if mean > SLOW_FSYNC:
        return Finding(subject, "fsync", WARN, seen, "a disk of its own, local, without other writers")
    return Finding(subject, "fsync", OK, seen)


def quota_of(look: Look) -> int:
    """Bytes that its database may take."""
    return (look.status.quota if look.status else 0) or (look.disk.quota if look.disk else 0) or DEFAULT_QUOTA


def _judge_room(subject: str, size: int, quota: int) -> Finding:
    share = size / quota
    seen = f"{size / (1 << 20):.0f} MiB of {quota / (1 << 20):.0f} MiB"
    if share >= NEARLY_FULL:
        advice = "a larger --quota-backend-bytes on all members; the keeper compacts and defragments meanwhile"
        return Finding(subject, "room", BAD if share >= 1 else WARN, seen, advice)
    return Finding(subject, "room", OK, seen)


def _judge_protection(subject: str, endpoint: str) -> Finding:
    parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
    if parts.scheme == "https":
        return Finding(subject, "TLS", OK, "on")
    if parts.hostname in ("localhost", "127.0.0.1", "::1"):
        return Finding(subject, "TLS", OK, "off, on loopback")
    advice = "whoever reaches it can read and write every lease: deploy/etcd/etcd.env, docs/security.md"
    return Finding(subject, "TLS", WARN, "off", advice)


def _judge_leader(seen: Sequence[MemberStatus]) -> Finding:
    leaders = {status.leader for status in seen}
    if leaders == {0}:
        return Finding("etcd", "leader", BAD, "there is none", "bring members back until more than half are there")
    if len(leaders) > 1:
        advice = "a member that follows nobody is cut off from the others"
        return Finding("etcd", "leader", WARN, "the members do not agree", advice)
    leader = next((status.endpoint for status in seen if status.id == status.leader), "a member not named here")
    return Finding("etcd", "leader", OK, leader)


def _judge_size(looks: Sequence[Look], seen: Sequence[MemberStatus]) -> Finding:
    ids = frozenset().union(*(look.ids for look in looks))
    unseen = len(ids - {status.id for status in seen})
    if unseen:
        seen_words = f"{unseen} of {len(ids)} answered at no endpoint that is named here"
        return Finding(
            "etcd", "members", WARN, seen_words, "name every member in --etcd: nodes fail over between these"
        )
    count = len(ids) or len(seen)
    if count < 3:
        return Finding("etcd", "members", WARN, f"{count}", "three survive the loss of one; one or two survive none")
    if count % 2 == 0:
        return Finding("etcd", "members", WARN, f"{count}", f"{count} survive no more than {count - 1} do")
    return Finding("etcd", "members", OK, f"{count}")


def _judge_quotas(looks: Sequence[Look]) -> Finding:
    quotas = {quota_of(look) for look in looks if look.status is not None}
    if len(quotas) > 1:
        seen = " and ".join(f"{quota >> 20} MiB" for quota in sorted(quotas))
        return Finding(
            "etcd", "quotas", WARN, f"differ: {seen}", "the smallest stops the writes of all: make them equal"
        )
    return Finding("etcd", "quotas", OK, f"{next(iter(quotas)) >> 20} MiB each")


def _judge_alarms(seen: Sequence[MemberStatus]) -> list[Finding]:
    alarms = frozenset().union(*(status.alarms for status in seen))
    names = {status.id: status.endpoint for status in seen}
    if not alarms:
        return [Finding("etcd", "alarms", OK, "none")]
    advice = {
        "NOSPACE": "the keeper heals it within 15 s; if it comes back, the living data is too large for the quota",
        "CORRUPT": "stop that member, remove it, and add it again with an empty data directory",
    }
    return [
        Finding("etcd", "alarms", BAD, f"{kind} on {names.get(member, f'{member:x}')}", advice.get(kind, "look it up"))
        for member, kind in sorted(alarms)
    ]

"""What processes use, before and after: file descriptors, threads, memory, and keys in etcd (I19)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from everlease.lab.etcd import EtcdCluster
from faults.stage import Stage

FILES, THREADS = 8, 4
"""How many more a process may have: connections come and go."""

MEMORY = 0.05
ROW = 1500
"""Octets that a node may use for each lease record more; a record stays for an hour after its client has gone."""

WARM = 12 << 20
"""Octets that Python and gRPC keep once they were busy."""


@dataclass(frozen=True)
class Usage:
    """Of one node. memory: resident, octets; keys: of ours in etcd."""

    files: int
    threads: int
    memory: int
    keys: int


def measure(stage: Stage) -> dict[str, Usage]:
    """Every node's."""
    keys = count(stage.etcd)
    return {node.name: _of(node.running.pid, keys) for node in stage.nodes}


def count(etcd: EtcdCluster) -> int:
    """How many keys there are."""
    return len(etcd.etcdctl("get", "--prefix", "--keys-only", "/everlease/").split())


def _of(pid: int, keys: int) -> Usage:
    process = Path("/proc", str(pid))
    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
    memory = int(status["VmRSS"].split()[0]) * 1024
    return Usage(len(list((process / "fd").iterdir())), int(status["Threads"]), memory, keys)


def leaks(before: dict[str, Usage], after: dict[str, Usage]) -> list[str]:
    """What has grown more than the leases explain."""
    wrong = []
    for name, then in before.items():
        now = after[name]
        room = then.memory * MEMORY + ROW * max(now.keys - then.keys, 0) + WARM
        if now.files > then.files + FILES or now.threads > then.threads + THREADS or now.memory > then.memory + room:
            wrong.append(f"{name} used {then}, and uses {now}")
    return wrong


def table(before: dict[str, Usage], after: dict[str, Usage]) -> str:
    """For people."""
    return "\n".join(f"{name}: {then} -> {after[name]}" for name, then in before.items())

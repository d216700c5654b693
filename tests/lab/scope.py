"""What a test gets of an etcd cluster that it shares with others."""

from __future__ import annotations

from dataclasses import dataclass

from everlease.lab.etcd import EtcdCluster


@dataclass(frozen=True)
class EtcdScope:
    """A test's own corner of a shared cluster: give `prefix` to the store, touch nothing outside it."""

    cluster: EtcdCluster
    prefix: str

    @property
    def endpoints(self) -> list[str]:
        return self.cluster.endpoints

"""The admin API's methods, all of them; `Client` and `AsyncClient` are two ways to ask."""

from __future__ import annotations

from everlease.client.backups import Backups
from everlease.client.cluster import Cluster
from everlease.client.config import Configs
from everlease.client.explain import Explain
from everlease.client.leases import Leases
from everlease.client.reservations import Reservations
from everlease.client.subnets import Subnets


class Api(Leases, Subnets, Reservations, Configs, Cluster, Backups, Explain):
    """One mixin for each service."""

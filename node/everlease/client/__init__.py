"""A client of the admin API, blocking and asyncio, and the only way in which the command line reaches a cluster.

Several servers with failover; retries only where they are safe; iterators over pages; watches that resume. Answers are
the messages of `everlease.pb.admin.v1`. docs/client.md is the manual.
"""

from everlease.client.aio import AsyncClient
from everlease.client.credentials import Credentials
from everlease.client.errors import (
    Compacted,
    Conflict,
    Denied,
    Invalid,
    NotFound,
    OutcomeUnknown,
    Problem,
    Refused,
    Unreachable,
    Unready,
)
from everlease.client.session import DEFAULT_SERVER
from everlease.client.sync import Client

__all__ = [
    "Client", "AsyncClient", "Credentials", "DEFAULT_SERVER",
    "Unreachable", "OutcomeUnknown", "Refused", "Invalid", "NotFound", "Conflict", "Unready", "Compacted", "Denied",
    "Problem",
]  # fmt: skip

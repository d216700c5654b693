"""The doctor's word on one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

OK: Final = "ok"
WARN: Final = "warn"
BAD: Final = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """subject: "etcd http://10.0.0.1:2379"; check: "version"; level: OK, WARN or BAD; seen: what is so.

    advice: what to do about it, "" where it is well.
    """

    subject: str
    check: str
    level: str
    seen: str
    advice: str = ""

"""Which versions of etcd may hold leases: what is known of each, from its changelogs. Pure.

Law: a version that can lose or corrupt what it confirmed is refused; one with faults that this service works around, or
that harm others than it, is warned about, with what mends it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

Version = tuple[int, int, int]
_NUMBERS: Final = re.compile(r"(\d+)\.(\d+)\.(\d+)")

ADVICE: Final = "run 3.5.33, 3.6.14 or newer"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: what it does, where it came in for each minor version (0 = always there), and where it was mended.

    A minor version that `mended` does not name has never had it, or never got rid of it: then it is 0.
    """

    words: str
    mended: dict[tuple[int, int], int]
    since: dict[tuple[int, int], int]

    def has(self, version: Version) -> bool:
        """Whether this version has it."""
        minor, patch = version[:2], version[2]
        if minor not in self.mended:
            return False
        fixed = self.mended[minor]
        return patch >= self.since.get(minor, 0) and (not fixed or patch < fixed)


def _fault(words: str, since: dict[tuple[int, int], int] | None = None, **mended: int) -> Fault:
    """mended: v34=24 is 3.4.24; 0 = never."""
    return Fault(words, {(int(name[1]), int(name[2:])): patch for name, patch in mended.items()}, since or {})


CORRUPTS: Final = _fault("can corrupt its data in a crash under load (etcd issue 13766)", v35=3)

FAULTS: Final = (
    _fault("is no longer maintained", v33=0, v34=0),
    _fault("may send an event of a watch twice", v34=24, v35=8),
    _fault("may send a watch back in time after a snapshot", v34=25, v35=8),
    _fault("may lose events of a watch after a compaction", v34=31, v35=13),
    _fault("may lose a deletion at the revision of a compaction", v34=36, v35=18),
    _fault("may send old events to a watch from a future revision", v34=38, v35=22, v36=2),
    _fault("may answer a read with old data after its process was paused", {(3, 4): 20}, v34=42, v35=28, v36=9),
    _fault("may diverge when it crashes while it is defragmented", v35=6),
    _fault("may corrupt data when it is defragmented while it receives a snapshot", v34=38, v35=23, v36=5),
    _fault("lets nested writes pass its quota", v34=0, v35=33, v36=14, v37=1),
    _fault("does not check permissions inside nested transactions", v34=0, v35=33, v36=14, v37=1),
)
"""Every write of ours is a compare, and a watch is only a cache of it: none of these can bind an address twice."""


def parse(text: str) -> Version:
    """(3, 5, 13) of "3.5.13"; (0, 0, 0) for what is no version."""
    found = _NUMBERS.match(text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else (0, 0, 0)


def refusal(text: str) -> str:
    """Why this version must not be used, "" = it may be."""
    return f"etcd {text} {CORRUPTS.words}; {ADVICE}" if CORRUPTS.has(parse(text)) else ""


def warnings(text: str) -> list[str]:
    """What is known to be wrong with this version."""
    version = parse(text)
    return [fault.words for fault in FAULTS if fault.has(version)]

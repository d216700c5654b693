"""One level of the document -> `model.Parameters`: lifetimes, switches, header fields, options.

The law of this file: a level keeps what it says itself; inheritance is `core.policy`'s, at the moment of use. Only
ping-check is merged here key by key, for it travels as one value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from everlease.config import values
from everlease.config.options import OptionTable
from everlease.config.problems import Path, Report
from everlease.core.lifecycle import INFINITE
from everlease.core.model import EMPTY, SEND_NEVER, OptionValue, Parameters, PingCheck

if TYPE_CHECKING:
    from everlease.config.schema import Leaf

GLOBAL_DEFAULTS: Final[Mapping[str, Any]] = {
    "valid_lifetime": 3600,
    "offer_lifetime": 30,
    "affinity": 7 * 86400,
    "decline_probation": 86400,
    "authoritative": False,
    "rapid_commit": False,
    "client_identity": "client-id",
    "ping_check": PingCheck(),
}
"""What a document that says nothing means (interfaces.md)."""

_PLAIN: Final = (
    "valid_lifetime",
    "min_valid_lifetime",
    "max_valid_lifetime",
    "renew_time",
    "rebind_time",
    "offer_lifetime",
    "affinity",
    "decline_probation",
    "authoritative",
    "rapid_commit",
    "client_identity",
    "next_server",
)
_LIFETIMES: Final = frozenset(_PLAIN[:5])
_TFTP_SERVER_NAME: Final = 66
_BOOT_FILE_NAME: Final = 67


@dataclass(slots=True)
class Compiler:
    """What every level needs: the option table and the report."""

    options: OptionTable
    report: Report

    def parameters(self, leaf: Leaf, path: Path, above: Sequence[Parameters]) -> Parameters:
        """One level's parameters. `above`: the levels it inherits from, the nearest first, global last."""
        said = {name: value for name in _PLAIN if (value := getattr(leaf, name, None)) is not None}
        if leaf.ping_check is not None:
            said["ping_check"] = self._ping_check(leaf, above)
        options = self.options.encode(leaf.option_data, path, self.report) if leaf.option_data else {}
        self._header(leaf, said, options, path)
        if not said and not options:
            return EMPTY
        result = Parameters(**said, options=options)
        if said.keys() & _LIFETIMES:
            self._check_lifetimes(result, path, above)
        return result

    def _header(self, leaf: Leaf, said: dict[str, Any], options: dict[int, OptionValue], path: Path) -> None:
        """Clients read the header or options 66 and 67: a level that says one says both."""
        for key, code in (("server_hostname", _TFTP_SERVER_NAME), ("boot_file_name", _BOOT_FILE_NAME)):
            text = getattr(leaf, key)
            if text is not None:
                said[key] = octets = text.encode(errors="surrogateescape")
                longest = 63 if key == "server_hostname" else 127
                if len(octets) > longest:
                    self.report.add((*path, key.replace("_", "-")), f"it takes {len(octets)} octets; {longest} fit")
                options.setdefault(code, OptionValue(octets) if octets else OptionValue(b"", SEND_NEVER))
        if leaf.next_server:
            options.setdefault(_TFTP_SERVER_NAME, OptionValue(values.show(leaf.next_server).encode()))

    @staticmethod
    def _ping_check(leaf: Leaf, above: Sequence[Parameters]) -> PingCheck:
        inherited = next((level.ping_check for level in above if level.ping_check), PingCheck())
        said = leaf.ping_check.model_dump(exclude_none=True) if leaf.ping_check else {}
        return PingCheck(
            **{"enabled": inherited.enabled, "timeout": inherited.timeout, "cache": inherited.cache} | said
        )

    def _check_lifetimes(self, own: Parameters, path: Path, above: Sequence[Parameters]) -> None:
        levels = (own, *above)
        valid, least, most, renew, rebind = (_resolved(levels, name) for name in _PLAIN[:5])
        self._ordered(path, own, ("min_valid_lifetime", least), ("valid_lifetime", valid))
        self._ordered(path, own, ("valid_lifetime", valid), ("max_valid_lifetime", most))
        self._ordered(path, own, ("min_valid_lifetime", least), ("max_valid_lifetime", most))
        self._ordered(path, own, ("renew_time", renew), ("rebind_time", rebind), strict=True)
        self._ordered(path, own, ("rebind_time", rebind), ("valid_lifetime", valid), strict=True)
        if rebind is None:
            self._ordered(path, own, ("renew_time", renew), ("valid_lifetime", valid), strict=True)

    def _ordered(
        self,
        path: Path,
        own: Parameters,
        low: tuple[str, int | None],
        high: tuple[str, int | None],
        *,
        strict: bool = False,
    ) -> None:
        if low[1] is None or high[1] is None or low[1] < high[1] or (low[1] == high[1] and not strict):
            return
        said = [name for name, _ in (low, high) if getattr(own, name) is not None]
        if not said:
            return
        low_key, high_key = (name.replace("_", "-") for name, _ in (low, high))
        told = "less than" if strict else "at most"
        self.report.add(
            (*path, said[0].replace("_", "-")),
            f"{low_key} ({duration(low[1])}) must be {told} {high_key} ({duration(high[1])}); change one of them",
        )


def _resolved(levels: Sequence[Parameters], name: str) -> int | None:
    found = (getattr(level, name) for level in levels)
    return next((value for value in found if value is not None), None)


def duration(seconds: int) -> str:
    """Seconds as people write them: 1h, 90s."""
    if seconds == INFINITE:
        return "infinite"
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % length == 0 and seconds:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"

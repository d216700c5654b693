"""The bindings of one address space by where their clients are plugged in; kept only where a limit asks for it.

Law: it only says who is one too many. What it does not know of (bindings from before the limit, that nobody renewed)
it does not count.
"""

from __future__ import annotations

from everlease.core.identity import NOWHERE, Circuit


class Circuits:
    """Circuit -> addresses and their ends (seconds UTC), and back."""

    __slots__ = ("_ends", "_of")

    def __init__(self) -> None:
        self._ends: dict[Circuit, dict[int, int]] = {}
        self._of: dict[int, Circuit] = {}

    def note(self, address: int, circuit: Circuit, expires_at: int) -> None:
        """An address is bound there; or (NOWHERE) it is not, or not any more."""
        before = self._of.pop(address, NOWHERE)
        if before != NOWHERE:
            ends = self._ends[before]
            del ends[address]
            if not ends:
                del self._ends[before]
        if circuit != NOWHERE:
            self._of[address] = circuit
            self._ends.setdefault(circuit, {})[address] = expires_at

    def count(self, circuit: Circuit, now: float) -> int:
        """Bindings of a circuit that have not ended."""
        return sum(end > now for end in self._ends.get(circuit, {}).values())

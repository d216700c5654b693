"""`python -m faults.history FILE [ID ...]`: check a history that was kept; exit code 1 if anything is violated."""

from __future__ import annotations

import sys
from pathlib import Path

from faults.history.check import check, summary, unproved
from faults.history.checks import ALL
from faults.history.model import History


def main(arguments: list[str]) -> int:
    """The command line."""
    if not arguments:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    history = History.read(Path(arguments[0]))
    found = check(history, *arguments[1:])
    print(summary(history))
    for id_ in arguments[1:] or [*ALL, "I22"]:
        count = sum(violation.id == id_ for violation in found)
        print(f"{id_:4} {'holds' if not count else f'{count} violations'}")
    for line in [*found, *(f"not recorded: {what}" for what in unproved(history))]:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

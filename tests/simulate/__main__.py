"""`./tests/run.sh simulate`. Law: sets of strings are walked in the same order each time, so hashes are fixed first."""

from __future__ import annotations

import os
import sys

if os.environ.get("PYTHONHASHSEED") == "0":
    from simulate.command import main
else:

    def main() -> int:
        """Begin again with fixed hashes."""
        command = [sys.executable, "-m", "simulate", *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, "PYTHONHASHSEED": "0"})


if __name__ == "__main__":
    sys.exit(main())

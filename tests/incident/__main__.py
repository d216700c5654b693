"""`./tests/run.sh incident [--short] [--docs]`: play every scene, tell it second by second, draw it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from bench.wires import Wires
from everlease.lab.processes import LabError
from incident import picture, report
from incident.scenes import SCENES, SHORT, SHORT_SCENES, WHOLE, Play, Told

ROOT = Path(__file__).resolve().parents[2]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./tests/run.sh incident", description=__doc__)
    parser.add_argument("--short", action="store_true", help="one scene for each system, of a few seconds")
    parser.add_argument("--docs", action="store_true", help="write docs/incident.md and docs/incident.png")
    parser.add_argument("--data", type=Path, default=ROOT / "artifacts" / "incident", help="where the disks lie")
    return parser.parse_args()


def _play(chosen: argparse.Namespace, console: Console) -> list[Told]:
    scenes, acts = (SHORT_SCENES, SHORT) if chosen.short else (SCENES, WHOLE)
    all_told = []
    console.print(report.LEGEND)
    with Wires(chosen.data, servers=3, loaders=2, prefix="in-") as wires:
        play = Play(wires, chosen.data)
        for scene in scenes:
            all_told.append(play.tell(scene, acts))
            console.print(*report.lines(all_told[-1]), sep="\n")
    return all_told


def main() -> int:
    """Exit 0 if Everlease answered nearly everybody in every scene, 1 if not, or if a scene could not be played."""
    chosen = _arguments()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    try:
        all_told = _play(chosen, console)
    except LabError as error:
        console.print("[red]incident:[/]", Text(str(error)))
        return 1
    console.print(report.summary(all_told))
    folder = ROOT / "docs" if chosen.docs else chosen.data
    (folder / "incident.md").write_text(report.page(all_told))
    picture.draw(all_told, folder / "incident.png")
    console.print(f"written: {folder / 'incident.md'}, {folder / 'incident.png'}")
    return 0 if all(report.kept(told) for told in all_told if told.scene.system == "everlease") else 1


if __name__ == "__main__":
    sys.exit(main())

"""The run as a picture: a scene a panel, a second a bar, coloured by who answered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from incident.account import Second, share
from incident.report import during, percent, seconds, title
from incident.scenes import RATE, RENEWALS, SYSTEMS, Told

_STRUCK, _OTHERS, _NOBODY = "#e69f00", ("#0072b2", "#56b4e9"), "#d9d9d9"  # told apart by colour-blind people, too
_LABELS = ("the server whose storage is hit", "another server", "a third server", "nobody")


def draw(all_told: Sequence[Told], file: Path) -> None:
    """A column for each system, in the order of the scenes."""
    columns = {system: [told for told in all_told if told.scene.system == system] for system in SYSTEMS}
    rows = max(map(len, columns.values()))
    with mpl.rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(10, 1.1 + 1.8 * rows), layout="constrained")
        grid = figure.subplots(rows, len(columns), sharex=True, sharey=True, squeeze=False)
        for column, scenes in enumerate(columns.values()):
            grid[-1][column].set_xlabel("seconds since the fault")
            for row, told in enumerate(scenes):
                _panel(grid[row][column], told)
        handles, labels = grid[0][-1].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, title="answered by"
        )
        figure.savefig(file, dpi=110, metadata={"Software": None})


def _panel(axes: Axes, told: Told) -> None:
    account = seconds(told)
    axes.axvspan(0, told.acts.fault, color="#fbe3e4", zorder=0)
    others = [server for server in told.servers if server != told.struck]
    layers = [[second.answered[server] for second in account] for server in (told.struck, *others)]
    layers += [[0] * len(account)] * (len(_OTHERS) - len(others)) + [[second.silent for second in account]]
    _stack(axes, account, layers)
    axes.set_title(f"{title(told)}: {percent(share(during(told)))} answered", fontsize=9)
    axes.set_ylim(0, (RATE + RENEWALS) * 1.1)
    axes.set_ylabel("clients per second")


def _stack(axes: Axes, account: Sequence[Second], layers: Sequence[Sequence[int]]) -> None:
    bottom = [0] * len(account)
    for layer, colour, label in zip(layers, (_STRUCK, *_OTHERS, _NOBODY), _LABELS, strict=True):
        places = [second.number for second in account]
        axes.bar(places, layer, width=0.9, bottom=bottom, align="edge", color=colour, label=label)
        bottom = [below + height for below, height in zip(bottom, layer, strict=True)]

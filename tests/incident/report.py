"""A run told for people: in the terminal second by second, as a table of scenes, and as a page of the documentation."""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from everlease.lab.processes import run as output_of
from incident.account import PATIENCE_S, Question, Second, by_second, share
from incident.scenes import RATE, RENEWALS, Told

SETTLED_S = 2.5
"""What a fault may cost: from then on a client is to be answered at its first try."""

WANTED = 0.99

NAMES = {"kea": "Kea hot-standby pair", "everlease": "Everlease, three nodes"}
_BAR = 50
_STRUCK, _OTHERS, _NOBODY = ("▒", "dark_orange"), (("█", "blue"), ("▓", "cyan")), ("·", "red")

LEGEND = f"{_STRUCK[0]} answered by the server whose storage it is   █▓ by another   {_NOBODY[0]} by nobody"


def title(told: Told) -> str:
    """Whose storage, and what became of it."""
    article = "a" if told.scene.role == "follower" else "the"
    return f"{NAMES[told.scene.system]}: {article} {told.scene.role}'s disk {told.scene.fault}"


def seconds(told: Told) -> list[Second]:
    """The scene's account, second by second."""
    return by_second(told.account, told.zero, told.acts.seconds)


def during(told: Told) -> list[Question]:
    """Asked while the storage was not to be had."""
    return told.account.between(told.zero, told.healed)


def settled(told: Told) -> list[Question]:
    """The same, without the first moments."""
    return told.account.between(told.zero + SETTLED_S, told.healed)


def kept(told: Told) -> bool:
    """Whether nearly everybody who asked after the first moments was answered."""
    return share(settled(told)) >= WANTED


# --- the terminal -----------------------------------------------------------------------------------------------------


def lines(told: Told) -> list[Text]:
    """A heading, and a bar for each second: a mark is so many clients."""
    return [Text(title(told), style="bold"), *(_line(second, told) for second in seconds(told))]


def _line(second: Second, told: Told) -> Text:
    line = Text(f"{second.number:+4d} s ", style="red" if 0 <= second.number < told.acts.fault else "")
    each = (RATE + RENEWALS) / _BAR
    for server, (mark, style) in _marks(told):
        line.append(mark * round(second.answered[server] / each), style)
    line.append(_NOBODY[0] * max(0, _BAR + 6 - len(line)) if second.silent else "", _NOBODY[1])
    return line.append(f"  {second.asked} asked, {second.asked - second.silent} answered", "default")


def _marks(told: Told) -> list[tuple[int, tuple[str, str]]]:
    others = [server for server in told.servers if server != told.struck]
    return [(told.struck, _STRUCK), *zip(others, _OTHERS, strict=False)]


def summary(all_told: Sequence[Told]) -> Table:
    """One row a scene."""
    table = Table(title="Answered, of those who asked")
    for heading in _HEADINGS:
        table.add_column(heading, no_wrap=not heading, justify="right" if heading else "left")
    for told in all_told:
        table.add_row(*_row(told))
    return table


_HEADINGS = (
    "",
    "while it lasted",
    f"after {SETTLED_S} s of it",
    "healed",
    "slowest answer",
    "refused (NAK)",
    "addresses twice",
    "exited",
)


def _row(told: Told) -> list[str]:
    healed = told.account.between(told.healed + 1, told.zero + told.acts.seconds.stop)
    slowest = max((question.after for question in during(told) if question.answered), default=math.nan)
    shares = [percent(share(part)) for part in (during(told), settled(told), healed)]
    counts = [str(told.account.naks), str(told.account.twice), ", ".join(told.ended) or "-"]
    return [title(told), *shares, "-" if math.isnan(slowest) else f"{slowest:.2f} s", *counts]


def percent(part: float) -> str:
    """Rounded down: 100 % means everybody."""
    return "-" if math.isnan(part) else f"{math.floor(part * 1000) / 10:g} %"


# --- the page ---------------------------------------------------------------------------------------------------------


def page(all_told: Sequence[Told]) -> str:
    """Markdown for docs/incident.md."""
    acts = all_told[0].acts
    day = time.strftime("%Y-%m-%d", time.gmtime(all_told[0].zero))
    kea, etcd = output_of(["kea-dhcp4", "-v"]).strip(), output_of(["etcd", "--version"]).split()[2]
    machine = f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"
    heads = " | ".join(f"{told.scene.role} {told.scene.fault}" for told in all_told)
    return _PAGE.format(
        day=day,
        kea=kea,
        etcd=etcd,
        machine=machine,
        rate=RATE,
        renewals=RENEWALS,
        patience=f"{PATIENCE_S:g}",
        fault=acts.fault,
        summary=_markdown([_HEADINGS, *map(_row, all_told)]),
        systems=" | ".join(NAMES[told.scene.system].split()[0].strip(",") for told in all_told),
        heads=heads,
        rule="---:|" * (len(all_told) + 1),
        rows=_second_rows(all_told),
        missed=sum(told.missed for told in all_told),
    )


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    head, *rest = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|---|" + "---:|" * (len(rows[0]) - 1), *rest])


def _second_rows(all_told: Sequence[Told]) -> str:
    columns = [seconds(told) for told in all_told]
    rows = []
    for line in zip(*columns, strict=True):
        cells = " | ".join(f"{second.asked - second.silent}/{second.asked}" for second in line)
        rows.append(f"| {line[0].number:+d} | {cells} |")
    return "\n".join(rows)


_PAGE = """# The incident, side by side

Written by `./tests/run.sh incident --docs`; every number is that run's. {day}, {machine};
Kea {kea}, etcd {etcd} with its default timers, three members.

Microsoft's KB Q216793 tells of a backup that locks the lease database: the DHCP service runs on and answers nobody.
Here the storage of one server is filled up, or frozen (`fsfreeze`: whoever writes, waits), for {fault} s, and given
back. Kea 2.2's hot-standby pair (multi-threaded, lease updates before each ACK, a heartbeat each second, a partner
silent for 3 s counts as down) loses its primary's storage, then its standby's; Everlease loses that of the host with
etcd's leader, then that of another; the node on that host runs on. Each server's storage is an ext4 of its own on a
loop device. What exits is started again when there is room. The pair does not wait for its disks (no fsync),
Everlease does.

{rate} new clients per second (perfdhcp, DISCOVER to ACK) and {renewals} renewals of others, through one relay that
sends to every server. A client counts as answered if its ACK comes within {patience} s, which is when it would have
to ask again; perfdhcp's clients never do. Counted from a capture on the relay's interface ({missed} packets missed).

![Who answered, second by second](incident.png)

{summary}

## Second by second

Answered/asked in each second; the fault begins with second 0 and ends with second {fault}.

| | {systems} |
|{rule}
| s | {heads} |
{rows}
"""

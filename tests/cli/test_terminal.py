"""What people see: on wide and narrow terminals, without colours, through a pipe; and how they are asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from admin.furnished import lease, neighbour, put_leases
from cli.conftest import Served
from cli.terminal import at_terminal, bare
from everlease.cli.output import CHUNK, Column, Format, plain, show

NAME = "a-host-with-a-very-long-name-indeed"


@pytest.fixture
def shown(served: Served) -> Served:
    served.do(put_leases(served.rooms, [(0x0A4D1000, lease(2, hostname=NAME)), (0x0A4D1001, lease(3))]))
    return served


def test_a_narrow_terminal_shows_fewer_columns_and_no_line_that_wraps(shown: Served) -> None:
    for width in (80, 60):
        code, text = at_terminal("lease", "list", width=width, EVERLEASE_SERVER=shown.address)
        lines = bare(text).splitlines()
        assert (code, len(lines)) == (0, 3), text
        assert max(map(len, lines)) <= width and lines[1].startswith("10.77.16.0 ")
    assert "NODE" not in lines[0] and "a-host-with-a-v…" in lines[1]


def test_a_wide_terminal_and_a_pipe_show_everything(shown: Served, everlease) -> None:
    _, text = at_terminal("lease", "list", width=200, EVERLEASE_SERVER=shown.address)
    piped = everlease("lease", "list").stdout
    assert [line.rstrip() for line in bare(text).splitlines()] == piped.splitlines()
    assert NAME in piped and "NODE" in piped and "\x1b" not in piped


def test_colours_are_for_terminals_that_want_them(shown: Served) -> None:
    assert "\x1b[32mbound" in at_terminal("lease", "list", EVERLEASE_SERVER=shown.address)[1]
    assert "\x1b[32m" not in at_terminal("lease", "list", EVERLEASE_SERVER=shown.address, NO_COLOR="1")[1]


def test_who_destroys_is_asked_and_no_means_no(shown: Served) -> None:
    words = ("lease", "release", "10.77.16.0", "--now")
    code, text = at_terminal(*words, answer="n\n", EVERLEASE_SERVER=shown.address)
    assert code == 1
    assert f"Take 10.77.16.0 back from 02:00:00:00:00:02 {NAME}" in " ".join(bare(text).split())
    code, text = at_terminal(*words, answer="y\n", EVERLEASE_SERVER=shown.address)
    assert (code, "10.77.16.0 is" in text) == (0, True)


@pytest.mark.parametrize(
    "words",
    [("lease", "release", "10.77.16.0"), ("lease", "clear-declined", "--subnet", "1"), ("subnet", "disable", "1"),
     ("config", "rollback", "1"), ("backup", "end-recovery")],
)  # fmt: skip
def test_a_script_says_yes_or_is_refused_with_2(shown: Served, everlease, words: tuple[str, ...]) -> None:
    done = everlease(*words, input="y\n")
    assert (done.exit_code, "say --yes" in done.stderr) == (2, True)


def test_a_node_that_is_not_eligible_is_told_with_its_reason_also_where_it_is_narrow(served: Served) -> None:
    neighbour(served.rooms, "n2", state="degraded", reason="no commit for 3 s")
    _, text = at_terminal("cluster", "status", width=70, EVERLEASE_SERVER=served.address)
    assert "no commit for 3 s" in " ".join(bare(text).split())


def test_a_long_list_appears_as_it_comes_and_in_the_same_columns(capsys: pytest.CaptureFixture[str]) -> None:
    columns = (Column("NUMBER", plain("number")), Column("SQUARE", plain("square"), right=True))
    count = show(({"number": n, "square": n * n} for n in range(CHUNK * 2 + 1)), columns, Format.TABLE, "none")
    lines = capsys.readouterr().out.splitlines()
    assert (count, len(lines)) == (CHUNK * 2 + 1, CHUNK * 2 + 2)
    assert lines[0].split() == ["NUMBER", "SQUARE"] and lines[-1].split() == [str(CHUNK * 2), str((CHUNK * 2) ** 2)]


def test_completion_offers_what_the_cluster_has_and_nothing_when_nobody_answers(served: Served) -> None:
    def offered(line: str, address: str) -> list[str]:
        words = line.split(" ")
        environment = {
            "_EVERLEASE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1),
            "EVERLEASE_SERVER": address,
        }  # fmt: skip
        command = [
            "env",
            *(f"{key}={value}" for key, value in environment.items()),
            str(Path(sys.executable).with_name("everlease")),
        ]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout.split()

    assert offered("everlease subnet show ", served.address) == ["1", "2"]
    assert offered("everlease cluster drain n", served.address) == ["n1"]
    assert "reservation" in offered("everlease re", served.address)
    assert offered("everlease subnet show ", "127.0.0.1:1") == []

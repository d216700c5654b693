"""Where lines for bindings go: files that rotate, syslog in both of its forms, and how the flag says so."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from everlease.errors import ConfigError
from everlease.logs import Lines, sinks
from everlease.logs.sinks import FilePlace, RotatingFile, StdoutPlace, Syslog, SyslogPlace, open_sink
from everlease.settings import read_ledger


def written(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_a_file_rotates_by_size_and_keeps_so_many(tmp_path: Path) -> None:
    path = tmp_path / "leases.log"
    file = RotatingFile(FilePlace(path, size=30, keep=2))
    for number in range(8):
        file.write(f"line {number} 456789\n")
    assert written(path) == "line 6 456789\nline 7 456789\n"
    assert written(tmp_path / "leases.log.1") == "line 4 456789\nline 5 456789\n"
    assert written(tmp_path / "leases.log.2") == "line 2 456789\nline 3 456789\n"
    assert len(list(tmp_path.iterdir())) == 3


def test_a_file_rotates_by_age_also_over_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "leases.log"
    place = FilePlace(path, every=3600.0)
    RotatingFile(place).write('{"timestamp": "2026-01-02T03:04:05.000006Z", "n": 1}\n')
    RotatingFile(place).write('{"timestamp": "2026-01-02T05:00:00.000000Z", "n": 2}\n')  # another life, hours later
    assert '"n": 1' in written(tmp_path / "leases.log.1") and '"n": 2' in written(path)
    file = RotatingFile(FilePlace(tmp_path / "other", every=3600.0))
    file.write("young\n")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3601)
    file.write("next\n")
    assert (written(tmp_path / "other.1"), written(tmp_path / "other")) == ("young\n", "next\n")


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks, "_LOOK", 0.0)
    path = tmp_path / "leases.log"
    file = RotatingFile(FilePlace(path))
    file.write("one\n")
    path.rename(tmp_path / "moved")
    file.write("two\n")
    assert (written(tmp_path / "moved"), written(path)) == ("one\n", "two\n")


def test_what_cannot_be_written_is_counted_and_the_next_line_is_tried(tmp_path: Path) -> None:
    lost: list[int] = []
    full = Lines(open_sink(FilePlace(Path("/dev/full"), keep=0)), lambda: lost.append(1))
    full.msg("one")
    full.msg("two")
    full.close(5.0)
    assert lost == [1, 1]
    with pytest.raises(OSError, match="no-such"):
        open_sink(FilePlace(tmp_path / "no-such" / "leases.log"))


def test_only_its_owner_and_group_may_read_a_file(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        RotatingFile(FilePlace(tmp_path / "leases.log"))
    finally:
        os.umask(before)
    assert (tmp_path / "leases.log").stat().st_mode & 0o777 == 0o640


def test_a_local_syslog_gets_one_datagram_for_each_line_and_may_come_back(tmp_path: Path) -> None:
    path = str(tmp_path / "log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)
        sink = Syslog(SyslogPlace(path))
        sink.write('{"event": "ack"}\n')
        assert server.recv(500) == f'<85>everlease[{os.getpid()}]: {{"event": "ack"}}'.encode()
    Path(path).unlink()
    with pytest.raises(OSError):
        sink.write("nobody\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)
        sink.write("again\n")
        assert server.recv(500).endswith(b": again")


def test_a_distant_syslog_gets_rfc_5424() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        Syslog(SyslogPlace("", "127.0.0.1", server.getsockname()[1])).write("{}\n")
        words = server.recv(500).decode().split(" ")
    assert words[0] == "<85>1" and words[1].endswith("Z") and words[2] == socket.gethostname()
    assert words[3:] == ["everlease", str(os.getpid()), "lease", "-", "{}"]


def test_a_syslog_that_takes_nothing_costs_its_line_and_holds_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks, "PATIENCE", 0.01)
    path, lost = str(tmp_path / "log"), []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)
        lines = Lines(Syslog(SyslogPlace(path)), lambda: lost.append(1))
        for number in range(50 + int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text())):
            lines.msg(str(number))
        lines.close(30.0)
    assert lost


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", None), ("false", None), ("log", "log"), ("true", "log"), ("stdout", StdoutPlace()), ("-", StdoutPlace()),
        ("syslog", SyslogPlace()), ("syslog:/run/log", SyslogPlace("/run/log")),
        ("syslog:10.0.0.5", SyslogPlace("", "10.0.0.5", 514)), ("syslog:[::1]:5514", SyslogPlace("", "::1", 5514)),
        ("/var/log/l", FilePlace(Path("/var/log/l"))),
        ("file:l?size=1MB&every=1h&keep=3", FilePlace(Path("l"), 1_000_000, 3600.0, 3)),
    ],
)  # fmt: skip
def test_how_the_flag_is_written(text: str, place: object) -> None:
    assert read_ledger(text) == place


@pytest.mark.parametrize(
    "text", ["somewhere", "/l?size=x", "/l?colour=red", "/l?keep=100000", "syslog:h:99999", "/l?every=0s"]
)
def test_a_flag_that_makes_no_sense_is_one_line_that_names_it(text: str) -> None:
    with pytest.raises(ConfigError, match=r"99999|--log-leases="):
        read_ledger(text)

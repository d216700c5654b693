"""The program as a shell starts it: exit codes, start-up, and what it says when nobody answers."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from everlease import __version__

HEAVY = ("grpc", "pydantic", "yaml", "prometheus_client", "rich", "asyncio")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_the_version_is_told_without_reading_anything_heavy(program) -> None:
    assert program("--version").stdout == f"everlease {__version__}\n"
    code = (
        "import sys; from everlease.cli import main\n"
        "try: main.app(['--version'])\n"
        "except SystemExit: pass\n"
        f"sys.stderr.write(' '.join(name for name in {HEAVY} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_help_names_every_command_without_reading_any_of_them() -> None:
    code = (
        "import sys; from everlease.cli import main\n"
        "try: main.app(['--help'])\n"
        "except SystemExit: pass\n"
        "sys.stderr.write(' '.join(name for name in ('grpc', 'pydantic', 'yaml', 'google') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "reservation" in done.stdout and "backup" in done.stdout


def test_commands_that_only_ask_read_nothing_of_the_node() -> None:
    names = ("lease", "subnet", "reservation", "cluster", "config", "backup", "audit")
    code = f"import sys; [__import__('everlease.cli.' + name) for name in {names}]\n" + (
        "sys.stderr.write(' '.join(name for name in sys.modules if name.startswith("
        "('pydantic', 'everlease.store', 'everlease.core', 'everlease.config.', 'everlease.admin'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_of_several_servers_the_message_says_what_each_said(program) -> None:
    done = program("lease", "list", "--server", f"127.0.0.1:{free_port()},no-such-host.invalid")
    assert done.returncode == 3
    assert "nothing listens there" in done.stderr and "no-such-host.invalid:9067: " in done.stderr


@pytest.mark.parametrize(
    "words",
    [("lease", "list"), ("subnet", "list"), ("cluster", "status"), ("config", "show"),
     ("explain", "--hw-address", "02:00:00:00:00:01")],
)  # fmt: skip
def test_when_no_node_answers_the_message_says_what_to_try_and_the_code_is_3(program, words) -> None:
    address = f"127.0.0.1:{free_port()}"
    done = program(*words, "--server", address)
    assert (done.returncode, done.stdout) == (3, "")
    assert f"no node answered at {address}" in done.stderr and "--server" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [("nonsense",), ("lease", "nonsense"), ("lease", "list", "--subnet", "x"), ("subnet", "show"),
     ("config", "validate", "/nonexistent"), ("lease", "list", "--output", "xml"),
     ("probe", "--interface", "lo", "--hw-address", "12")],
)  # fmt: skip
def test_a_wrong_command_line_is_code_2_with_a_word_on_what_is_wrong(program, words) -> None:
    done = program(*words)
    assert done.returncode == 2
    assert done.stderr.strip() and "Traceback" not in done.stderr


def test_a_misspelt_command_is_met_with_the_right_one(program) -> None:
    assert "lease" in program("leese").stderr


def test_a_document_is_checked_without_any_node(program, tmp_path: Path) -> None:
    file = tmp_path / "office.yaml"
    file.write_text("subnets: [{id: 1, prefix: 10.0.0.0/24, link: office, pools: [{range: 10.0.0.9-10.0.0.20}]}]\n")
    assert program("config", "validate", str(file)).returncode == 0
    file.write_text("subnets: [{id: 1, prefix: 10.0.0.0/24, link: office, pools: [{range: 10.0.1.9-10.0.1.20}]}]\n")
    assert program("config", "validate", str(file)).returncode == 1
    file.write_bytes(b"\xff\xfe\x00")
    done = program("config", "validate", str(file))
    assert (done.returncode, "UTF-8" in done.stderr) == (2, True)


def test_an_interface_that_is_not_there_is_one_line_and_code_1(program) -> None:
    done = program("probe", "--interface", "ela-none")
    assert (done.returncode, "ela-none does not exist" in done.stderr) == (1, True)


def test_every_command_has_help(program) -> None:
    shown = program("--help").stdout
    for name in (
        "quickstart",
        "node",
        "config",
        "lease",
        "subnet",
        "cluster",
        "explain",
        "probe",
        "reservation",
        "backup",
        "audit",
    ):
        assert name in shown
        assert program(name, "--help").returncode == 0


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{Path(sys.executable).with_name('everlease')} config schema | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")

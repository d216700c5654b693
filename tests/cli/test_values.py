"""What people write, and files of reservations: read as meant, or refused with the place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer

from everlease.cli.connect import cause_of
from everlease.cli.reserving import message_of, read_rows, row_of
from everlease.cli.values import parse_duration, parse_moment
from everlease.client import Credentials
from everlease.errors import ConfigError
from everlease.pb.admin.v1.reservation_service_pb2 import Reservation

MAC = "02:00:00:00:00:09"


def test_durations_are_written_as_people_do() -> None:
    told = {"90": 90, "90s": 90, "8h": 28800, "1h30m": 5400, "2d": 172800, "1d 12h": 129600}
    assert {text: parse_duration("--lifetime", text) for text in told} == told
    for wrong in ("", "h", "1x", "-5", "1m1h"):
        with pytest.raises(typer.Exit) as left:
            parse_duration("--lifetime", wrong)
        assert left.value.exit_code == 2


def test_moments_are_from_now_or_of_the_calendar() -> None:
    assert parse_moment("--expires-before", "") is None
    assert parse_moment("--expires-before", "2026-01-31T12:00Z") == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert parse_moment("--expires-before", "2026-01-31") == datetime(2026, 1, 31, tzinfo=UTC)
    soon = parse_moment("--expires-before", "2h")
    assert soon is not None and timedelta(hours=1) < soon - datetime.now(UTC) <= timedelta(hours=2)
    with pytest.raises(typer.Exit):
        parse_moment("--expires-before", "tomorrow")


def test_a_reservation_is_the_same_after_it_was_printed_and_read() -> None:
    made = Reservation(address="10.0.0.9", hw_address=MAC, hostname="desk", subnet=3, description="by the window")
    made.parameters.update({"valid-lifetime": "1d", "option-data": {"routers": ["10.0.0.1"]}})
    assert message_of(row_of(made)) == made


def test_a_file_says_by_its_name_what_it_is(tmp_path: Path) -> None:
    texts = {
        "a.csv": f'address,hw-address,parameters\n10.0.0.9,{MAC},"{{""valid-lifetime"": ""1d""}}"\n',
        "a.jsonl": f'{{"address": "10.0.0.9", "hw_address": "{MAC}", "parameters": {{"valid-lifetime": "1d"}}}}\n',
        "a.json": f'[{{"address": "10.0.0.9", "hw-address": "{MAC}", "parameters": {{"valid-lifetime": "1d"}}}}]',
        "a.yaml": f'reservations:\n- {{address: 10.0.0.9, hw-address: "{MAC}", parameters: {{valid-lifetime: 1d}}}}',
    }
    found = []
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        found += [message_of(row) for _, row in read_rows(tmp_path / name)]
    assert len(found) == 4 and all(each == found[0] for each in found)
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(ConfigError, match=r"\.csv"):
        list(read_rows(tmp_path / "a.txt"))


@pytest.mark.parametrize(
    ("row", "words"),
    [({"address": "10.0.0.9"}, "there is none"), ({"hw-address": MAC, "client-id": "1"}, "hw_address and client_id"),
     ({"hw-address": MAC, "adress": "10.0.0.9"}, "unknown: adress"), ({"hw-address": MAC, "subnet": "x"}, "invalid"),
     ({"hw-address": MAC, "parameters": "["}, "Expecting"), ({"hw-address": MAC, "parameters": "[1]"}, "Struct")],
)  # fmt: skip
def test_a_row_that_cannot_be_is_refused_in_words(row: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        message_of(row)


def test_a_token_does_not_cross_a_network_in_the_clear() -> None:
    robot = Credentials(token="secret")
    robot.check(("127.0.0.1:9067", "localhost:9067", "[::1]:9067"))
    with pytest.raises(ConfigError, match="only over TLS"):
        robot.check(("127.0.0.1:9067", "10.0.0.1:9067"))
    Credentials(ca=Path("ca.pem"), token="secret").check(("10.0.0.1:9067",))
    assert "secret" not in repr(robot)


def test_what_grpc_says_is_told_in_words_that_help() -> None:
    assert "nothing listens" in cause_of("connect: Connection refused (111)")
    assert "firewall" in cause_of("Deadline Exceeded")
    assert cause_of("something new") == "something new"

"""`--log-privacy`: a client is the same client in all lines of one life, and nobody can tell which."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest

from everlease import logs
from everlease.logs import Pseudonyms

MAC = "02:00:00:00:12:34"


def lines_of(level: str, write: Any, pseudonyms: Pseudonyms | None) -> list[dict[str, Any]]:
    stream = io.StringIO()
    lines = logs.configure(level, "n1", lambda: None, stream, logs.Style("json", pseudonyms))
    write()
    lines.close()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def fail() -> None:
    client = MAC
    raise KeyError(client)


def test_one_client_has_one_pseudonym_and_another_life_gives_another() -> None:
    one, other = Pseudonyms(), Pseudonyms()
    assert one.of(MAC) == one.of(MAC.upper()) != one.of("02:00:00:00:12:35")
    assert one.of(MAC) != other.of(MAC)
    assert one.of("") == ""


def test_fields_that_name_a_client_are_hidden_and_the_operators_own_are_not() -> None:
    named = {
        "client": "01020304",
        "hardware": MAC,
        "hostname": "annas-phone",
        "address": "10.77.16.9",
        "option82": "0106",
    }
    kept = {"relay": "192.0.2.1", "subnet": 1, "link": "office", "revision": 77, "server_hardware": "02-00-00-00-00-66"}
    (line,) = lines_of("info", lambda: logs.get().info("ack", **named, **kept), Pseudonyms())
    assert {name: line[name] for name in kept} == kept
    assert all(line[name].startswith("~") for name in named)
    assert len({line[name] for name in named}) == len(named)


def test_a_hardware_address_within_a_text_is_hidden_too() -> None:
    problems = [f"subnets[0]: {MAC} is reserved twice", "10.0.0.1 is no address of it"]
    (line,) = lines_of("info", lambda: logs.get().error("refused", problems=problems), Pseudonyms())
    assert MAC not in json.dumps(line) and line["problems"][1] == problems[1]
    assert "~" in line["problems"][0] and "is reserved twice" in line["problems"][0]


def test_of_an_exception_only_its_kind_and_its_place_are_told() -> None:
    def write() -> None:
        try:
            fail()
        except KeyError:
            logs.get().error("fault", exc_info=True)
            logging.getLogger("library").exception("broken by %s", MAC)

    lines = lines_of("info", write, Pseudonyms())
    assert len(lines) == 2 and all(MAC not in json.dumps(line) for line in lines)
    assert all("KeyError" in line["exception"] or "unknown" in line["exception"] for line in lines)
    assert "test_privacy.py" in lines[1]["exception"]


def test_debug_and_a_node_without_the_switch_name_everybody() -> None:
    (line,) = lines_of("debug", lambda: logs.get().debug("packet", hardware=MAC), Pseudonyms())
    assert line["hardware"] == MAC
    (line,) = lines_of("info", lambda: logs.get().info("ack", hardware=MAC), None)
    assert line["hardware"] == MAC


@pytest.mark.parametrize("style", ["console"])
def test_what_an_outsider_wrote_does_not_speak_to_the_terminal(style: str) -> None:
    stream = io.StringIO()
    lines = logs.configure("info", "n1", lambda: None, stream, logs.Style(style))
    logs.get().info("state", reason="\x1b[2J\nforged line")
    lines.close()
    text = stream.getvalue()
    assert "\x1b[2J" not in text and text.count("\n") == 1 and "forged line" in text

"""The option table against IANA's registry, as it was written down from the RFCs in `iana_options.csv`."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from everlease.wire import options4
from everlease.wire.options4 import Option, by_code, by_name

WINDOWS = {249, 252}  # private codes that everybody uses as Windows does
FRAMING = {0, 255}


def _registry() -> dict[int, dict[str, str]]:
    with (Path(__file__).parent / "iana_options.csv").open(newline="") as file:
        rows = {}
        for row in csv.DictReader(file):
            first, _, last = row["code"].partition("-")
            rows.update(dict.fromkeys(range(int(first), int(last or first) + 1), row))
    return rows


REGISTRY = _registry()
ASSIGNED = {code for code, row in REGISTRY.items() if not re.search(r"unassigned|private", row["name"], re.IGNORECASE)}

# What the registry's length says of a kind: "4n" is a list of parts of four octets.
LENGTHS = {
    "0": {"empty"},
    "1": {"uint8", "boolean"},
    "2": {"uint16"},
    "3": {"client-ndi"},
    "4": {"ip", "uint32", "int32", "v4-portparams", "binary"},
    "16": {"ipv6"},
    "1n": {"uint8-list"},
    "2n": {"uint16-list"},
    "4n": {"ip-list"},
    "8n": {"ip-pair-list"},
    "names": {"fqdn-list"},
    "list": {"sip-servers", "routes", "vendor-classes", "vendor-options", "uris", "ip-lists", "resolvers"},
}


def test_the_registry_is_complete() -> None:
    assert sorted(REGISTRY) == list(range(256))


def test_every_assigned_code_has_a_row_and_nothing_else_has() -> None:
    assert by_code.keys() == ASSIGNED - FRAMING | WINDOWS


@pytest.mark.parametrize("code", sorted(ASSIGNED - FRAMING))
def test_a_row_agrees_with_the_registry(code: int) -> None:
    option, row = by_code[code], REGISTRY[code]
    assert option.code == code
    assert option.rfc == int(row["rfc"])
    if row["length"] in LENGTHS:
        assert option.kind.name in LENGTHS[row["length"]]
    repeats = row["length"].endswith("n") and row["length"] != "n"
    assert option.repeatable == (repeats or row["length"] in {"names", "list"})


def test_names_are_kebab_case_and_name_one_option_each() -> None:
    names = [name for option in by_code.values() for name in (option.name, *option.aliases)]
    assert len(names) == len(set(names)) == len(by_name)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in names)
    assert all(by_name[option.name] is option for option in by_code.values())


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("routers", 3),
        ("domain-name-servers", 6),
        ("domain-name", 15),
        ("dhcp-lease-time", 51),
        ("vendor-class-identifier", 60),
        ("client-architecture", 93),
        ("client-system", 93),
        ("tftp-server-name", 66),
        ("boot-file-name", 67),
        ("domain-search", 119),
        ("classless-static-route", 121),
    ],
)
def test_names_that_the_configuration_promises(name: str, code: int) -> None:
    assert by_name[name].code == code


def test_unknown_codes_and_octets_that_do_not_fit_are_shown_as_octets() -> None:
    assert options4.show(240, b"\1\2") == "01:02"
    assert options4.show(3, b"\1\2") == "01:02"
    assert options4.show(3, b"\1\2\3\4") == ["1.2.3.4"]


def test_a_row_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        setattr(by_code[1], "name", "other")  # noqa: B010
    assert isinstance(by_code[1], Option)

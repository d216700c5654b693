"""config.match: the match language, from what is written to what it says of a client."""

from typing import Any

import pytest
from config_documents import compiled, problems

from everlease.core.facts import facts
from everlease.wire.v4 import Packet

FACTS = {
    "hw-address": bytes.fromhex("020000000001"),
    "htype": b"\1",
    "client-id": b"\1\2\0\0\0\0\1",
    "giaddr": b"\xc0\0\2\1",
    "link": b"office",
    "circuit-id": b"Gi1/0/3",
    "vendor-class-identifier": b"PXEClient:Arch:00007",
    "user-class": b"iPXE",
    "client-architecture": b"\0\7",
    "host-name": b"desk-7",
    "option-224": b"\n\x0b",
}


def matches(match: dict[str, Any]) -> bool:
    return compiled(client_classes=[{"name": "c", "match": match}]).classes[0].match(FACTS)


@pytest.mark.parametrize(
    "match",
    [
        {"hw-address": "02:00:00:00:00:01"},
        {"hw-address": {"prefix": "02:00:0"}},
        {"hw-address": {"suffix": "0:01"}},
        {"hw-address": {"contains": "0000"}},
        {"htype": 1},
        {"client-id": "01:02:00:00:00:00:01"},
        {"client-id": {"prefix": "01:02"}},
        {"giaddr": "192.0.2.1"},
        {"giaddr": {"in": ["192.0.2.1", "192.0.2.2"]}},
        {"link": {"in": ["office", "lab"]}},
        {"circuit-id": {"prefix": "Gi1/0/"}},
        {"vendor-class-identifier": {"prefix": "PXEClient"}},
        {"vendor-class-identifier": {"suffix": "00007"}},
        {"vendor-class-identifier": {"contains": "Arch:"}},
        {"vendor-class-identifier": {"regex": "^PXE.*0000[79]$"}},
        {"vendor-class-identifier": {"prefix": "PXE", "contains": "Arch"}},
        {"client-architecture": 7},
        {"client-architecture": {"in": [7, 9]}},
        {"client-architecture": [7, 9]},
        {"93": 7},
        {"option-93": 7},
        {"hostname": {"prefix": "desk"}},
        {"host-name": "desk-7"},
        {"option-224": "0a:0b"},
        {"224": {"prefix": "0x0a"}},
        {"user-class": {"present": True}},
        {"remote-id": {"present": False}},
        {"not": {"user-class": "x"}},
        {"all": [{"user-class": "iPXE"}, {"htype": 1}]},
        {"any": [{"user-class": "x"}, {"htype": 1}]},
        {"any": [{"all": [{"htype": 2}]}, {"not": {"any": [{"htype": 2}]}}]},
        {"user-class": "iPXE", "htype": 1},
    ],
)
def test_a_match_that_holds(match: dict[str, Any]) -> None:
    assert matches(match)
    assert not matches({"not": match})


@pytest.mark.parametrize(
    "match",
    [
        {"hw-address": "02:00:00:00:00:02"},
        {"vendor-class-identifier": {"regex": "^ARCH"}},
        {"remote-id": {"prefix": "x"}},
        {"remote-id": {"suffix": "x"}},
        {"remote-id": {"contains": "x"}},
        {"remote-id": {"regex": ""}} | {"remote-id": {"regex": "x"}},
        {"remote-id": "x"},
        {"user-class": "iPXE", "htype": 2},
        {"any": [{"user-class": "x"}, {"htype": 2}]},
    ],
)
def test_a_match_that_does_not_hold(match: dict[str, Any]) -> None:
    assert not matches(match)


@pytest.mark.parametrize(
    ("match", "path", "fragment"),
    [
        ("{hw-adress: x}", "match.hw-adress", 'did you mean "hw-address"?'),
        ("{user-class: {prefx: x}}", "match.user-class.prefx", 'did you mean "prefix"?'),
        ("{}", "match", "write all, any, not"),
        ("{all: []}", "match.all", "write a list of tests"),
        ("{any: {htype: 1}}", "match.any", "write a list of tests"),
        ("{not: 3}", "match.not", "write all, any, not"),
        ("{all: [x]}", "match.all[0]", "write all, any, not"),
        ("{htype: 300}", "match.htype.equals", "from 0 to 255"),
        ("{user-class: {present: 1}}", "match.user-class.present", "present: true"),
        ("{htype: {in: 3}}", "match.htype.in", "write a list"),
        ("{user-class: {regex: '('}}", "match.user-class.regex", "not a regular expression"),
        ("{user-class: {regex: '(a+)+'}}", "match.user-class.regex", "repeats a repetition"),
        ("{user-class: {regex: '" + "a" * 300 + "'}}", "match.user-class.regex", "longer than 256"),
        ("{hw-address: {contains: '0'}}", "match.hw-address.contains", "half an octet"),
        ("{hw-address: {prefix: zz}}", "match.hw-address.prefix", "hardware address"),
        ("{user-class: [1, [2]]}", "match.user-class.in", "is not text"),
    ],
)
def test_a_match_that_cannot_be_meant(match: str, path: str, fragment: str) -> None:
    found = problems(f"client-classes: [{{name: c, match: {match}}}]")
    assert len(found) == 1
    assert found[0].startswith(f"client-classes[0].{path} (line 1): ")
    assert fragment in found[0]


def test_facts_have_the_names_that_core_takes_from_a_packet() -> None:
    octets = {12: "host-name", 60: "vendor-class-identifier", 61: "client-id", 77: "user-class"}
    octets |= {93: "client-architecture", 224: "option-224"}
    packet = Packet(
        giaddr=0xC0000201,
        chaddr=FACTS["hw-address"],
        options={code: FACTS[name] for code, name in octets.items()},
    )
    known = facts(packet, {1: FACTS["circuit-id"]}, "office")
    assert {name: known.get(name) for name in FACTS} == FACTS

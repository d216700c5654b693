"""The option table against Wireshark's, which is independent of ours: its names, its types, and how it reads us.

Wireshark keeps the names of options in its preferences, so `tshark -G` shows the types of their values only; the names
come from a capture that holds every code once. `tshark` must be installed.
"""

from __future__ import annotations

import re
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from everlease.wire import kinds
from everlease.wire.options4 import by_code
from everlease.wire.v4 import BOOTREPLY, Packet, build
from wire.samples import sample_octets

# Options whose octets Wireshark reads further than our kind does: a value that it accepts.
FULLER = {
    63: b"\2\0",
    83: bytes(14),
    90: bytes(11),
    93: b"\0\7",
    97: bytes(17),
    99: b"\2CH",
    117: b"\0\6\0\x29",
    122: b"\1\4\xc0\0\2\1",
    123: bytes(16),
    124: bytes.fromhex("00000de9 03 020102"),
    125: bytes.fromhex("00000de9 03 010161"),
    144: bytes(16),
    145: b"\1",
}
IN_FRAMING = {52, 53}  # they say how to read the message; every frame here has 53
# Wireshark 4.0 does not know them yet, or not by their own kind.
NEWER = {109, 147, 148, 162}

# Names that share no word with ours: two worlds' words for one thing.
OTHER_WORDS = {63, 98, 123, 124, 125, 128, 144, 161, 177}

# Wireshark shows more than the value: counted strings' text, names of services.
INTERPRETED = {77, 117}

# Our kind: the types of Wireshark's field for it.
TYPES = {
    "ip": {"FT_IPv4"},
    "ip-list": {"FT_IPv4"},
    "ip-pair-list": {"FT_IPv4"},
    "uint8": {"FT_UINT8", "FT_BOOLEAN"},
    "uint16": {"FT_UINT16"},
    "uint32": {"FT_UINT32", "FT_RELATIVE_TIME", "FT_ABSOLUTE_TIME"},
    "int32": {"FT_INT32", "FT_RELATIVE_TIME"},
    "uint8-list": {"FT_UINT8"},
    "uint16-list": {"FT_UINT16"},
    "boolean": {"FT_BOOLEAN"},
    "string": {"FT_STRING", "FT_STRINGZ"},
    "fqdn": {"FT_STRING", "FT_STRINGZ"},
    "fqdn-list": {"FT_STRING", "FT_STRINGZ"},
}


@dataclass
class Reading:
    """What Wireshark says of one option."""

    name: str
    fields: list[tuple[str, str]]  # abbreviation, value
    text: str
    complaints: list[str]


def _octets(code: int) -> bytes:
    if code in FULLER:
        return FULLER[code]
    return sample_octets(by_code[code].kind) if code in by_code else b"\1\2\3\4"


def _frame(payload: bytes) -> bytes:
    udp = struct.pack("!HHHH", 67, 68, 8 + len(payload), 0) + payload
    addresses = bytes((192, 0, 2, 1, 192, 0, 2, 9))
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + addresses
    return bytes(12) + b"\x08\x00" + ip + udp


def _capture(frames: list[bytes]) -> bytes:
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    return head + b"".join(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame for frame in frames)


def _tshark(*arguments: str) -> str:
    done = subprocess.run(["tshark", *arguments], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def _read(option: ElementTree.Element) -> Reading:
    inner = [field for field in option.iter("field") if field is not option]
    fields = [(field.get("name", ""), field.get("show", "")) for field in inner]
    shown = option.get("showname", "")
    return Reading(
        re.sub(r"^Option: \(\d+\) | \(\d+\.\d+\.\d+\.\d+\)$", "", shown),
        [(name, show) for name, show in fields if name.startswith("dhcp.")],
        "\n".join(field.get("showname", "") for field in inner),
        [show for name, show in fields if name == "_ws.expert.message"],
    )


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Reading]:
    codes = [code for code in range(1, 255) if code not in IN_FRAMING]
    path: Path = tmp_path_factory.mktemp("wireshark") / "options.pcap"
    packets = (Packet(op=BOOTREPLY, options={53: b"\2", code: _octets(code)}) for code in codes)
    path.write_bytes(_capture([_frame(build(packet)) for packet in packets]))
    tree = ElementTree.fromstring(_tshark("-n", "-r", str(path), "-T", "pdml"))
    return dict(zip(codes, map(_option_of, codes, tree.iter("packet")), strict=True))


def _option_of(code: int, packet: ElementTree.Element) -> Reading:
    found = (
        field
        for field in packet.iter("field")
        if field.get("name") == "dhcp.option.type" and field.get("show") == str(code)
    )
    return _read(next(found))


@pytest.fixture(scope="module")
def types() -> dict[str, str]:
    rows: Iterator[list[str]] = (line.split("\t") for line in _tshark("-G", "fields").splitlines())
    return {row[2]: row[3] for row in rows if row[0] == "F" and len(row) > 3 and row[2].startswith("dhcp.")}


def test_wireshark_assigns_the_codes_that_we_assign(readings: dict[int, Reading]) -> None:
    free = re.compile(r"unassigned|^private", re.IGNORECASE)
    theirs = {code for code, reading in readings.items() if not free.search(reading.name)}
    ours = by_code.keys() - IN_FRAMING
    assert theirs - ours == set()
    assert ours - theirs - NEWER == {249, 252}


def test_names_share_a_word_with_wiresharks(readings: dict[int, Reading]) -> None:
    strangers = set()
    for code, reading in readings.items():
        if code in by_code and code not in NEWER:
            option = by_code[code]
            ours = {word[:4] for name in (option.name, *option.aliases) for word in name.split("-")}
            theirs = {word[:4].lower() for word in re.findall(r"\w+", reading.name)}
            if not ours & theirs:
                strangers.add(code)
    assert strangers <= OTHER_WORDS, {code: readings[code].name for code in strangers - OTHER_WORDS}


def test_values_have_the_types_that_wireshark_gives_them(readings: dict[int, Reading], types: dict[str, str]) -> None:
    ignored = {"dhcp.option.length", "dhcp.option.value"}
    checked = 0
    odd = {}
    for code, option in by_code.items():
        if option.kind.name not in TYPES or code not in readings or code in INTERPRETED:
            continue
        theirs = {types[name] for name, _ in readings[code].fields if name not in ignored}
        if not theirs <= TYPES[option.kind.name]:
            odd[code] = (option.name, theirs)
        checked += bool(theirs)
    assert odd == {}
    assert checked >= 90


def test_wireshark_complains_of_no_value_that_we_write(readings: dict[int, Reading]) -> None:
    # 77: plain text instead of RFC 3004's counted strings, as clients send it; see the option's row.
    complaints = {code: reading.complaints for code, reading in readings.items() if reading.complaints}
    assert {code for code in complaints if code in by_code} <= {77}, complaints


def test_wireshark_shows_every_address_of_a_list(readings: dict[int, Reading]) -> None:
    for code, option in by_code.items():
        if option.kind is kinds.IP_LIST and code not in NEWER | {89, 92}:
            shown = [value for _, value in readings[code].fields if re.fullmatch(r"[\d.]+", value)]
            assert shown[-2:] == ["192.0.2.1", "192.0.2.2"], option.name


def test_wireshark_reads_our_search_list_and_our_routes(readings: dict[int, Reading]) -> None:
    assert {"example.org", "sub.example.org"} <= {value for _, value in readings[119].fields}
    for code in (121, 249):
        assert "10.0.0.0/8-192.0.2.1" in readings[code].text

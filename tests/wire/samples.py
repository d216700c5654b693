"""One table for writers and readers: kind, value as an operator writes it, octets, value as it is shown."""

from __future__ import annotations

from everlease.wire import kinds
from everlease.wire.kinds import Kind

SAME = object()

_TABLE: list[tuple[Kind, object, str, object]] = [
    (kinds.IP, "192.0.2.1", "c0000201", SAME),
    (kinds.IP_LIST, ["192.0.2.1", "192.0.2.2"], "c0000201 c0000202", SAME),
    (kinds.IP_LIST, "192.0.2.1", "c0000201", ["192.0.2.1"]),
    (kinds.IP_PAIR_LIST, [["10.0.0.0", "192.0.2.1"]], "0a000000 c0000201", SAME),
    (kinds.IP_PAIR_LIST, "10.0.0.0 192.0.2.1", "0a000000 c0000201", [["10.0.0.0", "192.0.2.1"]]),
    (kinds.IPV6, "2001:db8::1", "20010db8 00000000 00000000 00000001", SAME),
    (kinds.UINT8, 255, "ff", SAME),
    (kinds.UINT8, "0x10", "10", 16),
    (kinds.UINT16, 576, "0240", SAME),
    (kinds.UINT32, 4294967295, "ffffffff", SAME),
    (kinds.INT32, -3600, "fffff1f0", SAME),
    (kinds.UINT8_LIST, [1, 3, 6], "010306", SAME),
    (kinds.UINT16_LIST, [6, 41], "0006 0029", SAME),
    (kinds.BOOLEAN, True, "01", SAME),
    (kinds.BOOLEAN, False, "00", SAME),
    (kinds.STRING, "grüezi", "6772c3bc657a69", SAME),
    (kinds.FQDN, "host.example.org", "04686f7374 076578616d706c65 036f7267 00", SAME),
    (kinds.FQDN, "host.example.org.", "04686f7374 076578616d706c65 036f7267 00", "host.example.org"),
    (
        kinds.FQDN_LIST,
        ["example.org", "sub.example.org"],
        "076578616d706c65 036f7267 00 03737562 c000",
        SAME,
    ),
    (kinds.BINARY, "0a:0b:0c", "0a0b0c", SAME),
    (kinds.BINARY, "0x0A0B", "0a0b", "0a:0b"),
    (kinds.BINARY, "a-b-c", "0a0b0c", "0a:0b:0c"),
    (kinds.BINARY, "'text'", "74657874", "74:65:78:74"),
    (kinds.BINARY, b"\1", "01", "01"),
    (kinds.BINARY, "", "", SAME),
    (kinds.EMPTY, True, "", SAME),
    (kinds.ROUTES, ["10.0.0.0/8 via 192.0.2.1"], "080a c0000201", [{"prefix": "10.0.0.0/8", "router": "192.0.2.1"}]),
    (kinds.ROUTES, "default via 192.0.2.1", "00 c0000201", [{"prefix": "0.0.0.0/0", "router": "192.0.2.1"}]),
    (
        kinds.ROUTES,
        ["10.17.0.0/16 - 192.0.2.1", {"prefix": "10.27.129.0/24", "router": "192.0.2.2"}],
        "100a11 c0000201 180a1b81 c0000202",
        [
            {"prefix": "10.17.0.0/16", "router": "192.0.2.1"},
            {"prefix": "10.27.129.0/24", "router": "192.0.2.2"},
        ],
    ),
    (
        kinds.ROUTES,
        ["10.198.122.47/32 0.0.0.0"],
        "200ac67a2f 00000000",
        [{"prefix": "10.198.122.47/32", "router": "0.0.0.0"}],
    ),
    (kinds.ENCAPSULATED, {"1": "0a", "60": "0b:0c"}, "01010a 3c020b0c", SAME),
    (kinds.ENCAPSULATED, {1: "'a'"}, "010161", {"1": "61"}),
    (kinds.ENCAPSULATED, "f1:04:c0:00:02:01", "f104c0000201", {"241": "c0:00:02:01"}),
    (kinds.SUBOPTIONS, {"0": "0a", "255": "0b"}, "00010a ff010b", SAME),
    (
        kinds.VENDOR_CLASSES,
        [{"enterprise": 3561, "data": "0a"}, {"enterprise": 9, "data": "0b"}],
        "00000de9010a 00000009010b",
        SAME,
    ),
    (kinds.VENDOR_OPTIONS, [{"enterprise": 3561, "options": {"1": "0a"}}], "00000de903 01010a", SAME),
    (
        kinds.VENDOR_OPTIONS,
        {"enterprise": 4491, "options": {2: "c0:00:02:01"}},
        "0000118b06 0204c0000201",
        [{"enterprise": 4491, "options": {"2": "c0:00:02:01"}}],
    ),
    (kinds.URIS, ["https://a/", "https://b/"], "000a 68747470733a2f2f612f 000a 68747470733a2f2f622f", SAME),
    (kinds.SIP_SERVERS, ["192.0.2.1"], "01 c0000201", SAME),
    (kinds.SIP_SERVERS, ["sip.example.org"], "00 03736970 076578616d706c65 036f7267 00", SAME),
    (
        kinds.CLIENT_FQDN,
        {"name": "h.example", "canonical": True},
        "04ffff 0168 076578616d706c65 00",
        {
            "name": "h.example",
            "partial": False,
            "canonical": True,
            "server-updates": False,
            "overridden": False,
            "no-updates": False,
        },
    ),
    (kinds.CLIENT_NDI, {"type": 1, "major": 3, "minor": 16}, "010310", SAME),
    (kinds.MACHINE_ID, {"type": 0, "id": "0a:0b"}, "000a0b", SAME),
    (kinds.PCP_SERVERS, [["192.0.2.1"], ["192.0.2.2", "192.0.2.3"]], "04c0000201 08c0000202c0000203", SAME),
    (kinds.PORT_PARAMETERS, {"offset": 6, "psid-length": 8, "psid": 512}, "06080200", SAME),
    (
        kinds.RDNSS,
        {"preference": 1, "primary": "192.0.2.1", "secondary": "192.0.2.2", "domains": ["a"]},
        "01c0000201c0000202 016100",
        SAME,
    ),
    (
        kinds.SIXRD,
        {"ipv4-mask-length": 8, "prefix-length": 32, "prefix": "2001:db8::", "relays": ["192.0.2.1"]},
        "0820 20010db8000000000000000000000000 c0000201",
        SAME,
    ),
    (kinds.SLP_AGENTS, {"mandatory": True, "addresses": ["192.0.2.1"]}, "01c0000201", SAME),
    (kinds.SLP_SCOPE, {"mandatory": False, "scopes": "one"}, "006f6e65", SAME),
    (kinds.STATUS, {"code": 0, "message": "ok"}, "006f6b", SAME),
    (
        kinds.RESOLVERS,
        [{"priority": 1, "name": "d.example", "addresses": ["192.0.2.1"], "alpn": ["dot"], "port": 853, "key9": "0a"}],
        "0026 0001 0b 0164 076578616d706c65 00 04 c0000201 0001 0004 03646f74 0003 0002 0355 0009 0001 0a",
        SAME,
    ),
    (
        kinds.RESOLVERS,
        [{"priority": 2, "name": "d.example"}],
        "000e 0002 0b 0164 076578616d706c65 00",
        SAME,
    ),
]

SAMPLES: list[tuple[Kind, object, bytes, object]] = [
    (kind, written, bytes.fromhex(octets), written if shown is SAME else shown)
    for kind, written, octets, shown in _TABLE
]


def sample_octets(kind: Kind) -> bytes:
    """The octets of the first value of a kind in the table."""
    return next(octets for other, _, octets, _ in SAMPLES if other is kind)

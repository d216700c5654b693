"""Every key of the document is accepted, and compiled to what `core` reads (interfaces.md, "Cluster configuration")."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from config_documents import SUBNET, address, compiled, subnet

from everlease.config.load import load
from everlease.core.lifecycle import INFINITE
from everlease.core.model import (
    SEND_ALWAYS,
    SEND_NEVER,
    ClusterSettings,
    Config,
    Limits,
    OptionValue,
    Parameters,
    PingCheck,
    Reservation,
)

LEVEL_KEYS: list[tuple[str, Any, str, Any]] = [
    ("valid-lifetime", "2h", "valid_lifetime", 7200),
    ("valid-lifetime", "infinite", "valid_lifetime", INFINITE),
    ("min-valid-lifetime", "10m", "min_valid_lifetime", 600),
    ("max-valid-lifetime", "1d", "max_valid_lifetime", 86_400),
    ("renew-time", "20m", "renew_time", 1200),
    ("rebind-time", "50m", "rebind_time", 3000),
    ("offer-lifetime", "45s", "offer_lifetime", 45),
    ("affinity", "30d", "affinity", 2_592_000),
    ("affinity", "infinite", "affinity", INFINITE),
    ("decline-probation", "1h", "decline_probation", 3600),
    ("authoritative", True, "authoritative", True),
    ("rapid-commit", True, "rapid_commit", True),
    ("ping-check", {"enabled": True, "timeout": "200ms", "cache": "5m"}, "ping_check", PingCheck(True, 0.2, 300.0)),
    ("next-server", "10.1.0.5", "next_server", 0x0A010005),
    ("server-hostname", "boot", "server_hostname", b"boot"),
    ("boot-file-name", "a.efi", "boot_file_name", b"a.efi"),
    ("option-data", {"domain-name": "x.org"}, "options", {15: OptionValue(b"x.org")}),
]


def document_with(level: str, key: str, value: Any) -> tuple[dict[str, Any], Callable[[Config], Parameters]]:
    """A document that says one key at one level, and where its compiled form is found."""
    said = {key: value}
    base: dict[str, Any] = {"subnets": [dict(SUBNET)]}
    if level == "global":
        return base | said, lambda config: config.parameters
    if level == "shared network":
        network = {"name": "n", "subnets": [1]} | said
        return base | {"shared-networks": [network]}, lambda config: config.networks[0].parameters
    if level == "class":
        listed = {"name": "c", "match": {"user-class": "x"}} | said
        return base | {"client-classes": [listed]}, lambda config: config.classes[0].parameters
    inner: dict[str, Any] = base["subnets"][0]
    if level == "subnet":
        inner |= said
        return base, lambda config: config.subnets[1].parameters
    if level == "pool":
        inner["pools"] = [{"range": "10.1.0.9"} | said]
        return base, lambda config: config.subnets[1].pools[0].parameters
    inner["reservations"] = [{"hw-address": "02:00:00:00:00:01"} | said]
    return base, lambda config: next(iter(config.subnets[1].reservations.values())).parameters


@pytest.mark.parametrize("level", ["global", "shared network", "subnet", "pool", "class", "reservation"])
@pytest.mark.parametrize(("key", "value", "name", "expected"), LEVEL_KEYS)
def test_every_level_says_every_inherited_key(level: str, key: str, value: Any, name: str, expected: Any) -> None:
    document, find = document_with(level, key, value)
    found = getattr(find(load(yaml.safe_dump(document))), name)
    assert found == expected


def test_a_level_that_says_nothing_asks_the_level_above() -> None:
    config = compiled(subnets=[SUBNET | {"pools": [{"range": "10.1.0.9"}]}])
    assert config.subnets[1].parameters == config.subnets[1].pools[0].parameters == Parameters()
    assert config.networks[0].parameters == Parameters()


def test_a_document_that_says_nothing_has_the_promised_defaults() -> None:
    config = compiled()
    assert config.parameters == Parameters(
        valid_lifetime=3600, offer_lifetime=30, affinity=604_800, decline_probation=86_400, authoritative=False,
        rapid_commit=False, client_identity="client-id", ping_check=PingCheck(False, 0.5, 600.0),
    )  # fmt: skip
    assert (config.cluster, config.limits) == (ClusterSettings(), Limits(10.0))


@pytest.mark.parametrize(
    ("key", "value", "name", "expected"),
    [
        ("on-quorum-loss", "strict", "on_quorum_loss", "strict"),
        ("clock-margin", "2s", "clock_margin", 2.0),
        ("grace", "auto", "grace", None),
        ("grace", "5m", "grace", 300),
        ("store-quota", "auto", "store_quota", None),
        ("store-quota", "8GB", "store_quota", 8_000_000_000),
    ],
)
def test_every_cluster_setting(key: str, value: str, name: str, expected: object) -> None:
    assert getattr(compiled(cluster={key: value}).cluster, name) == expected


def test_limits() -> None:
    assert compiled(limits={"packets-per-client": "120/min"}).limits == Limits(2.0)
    assert compiled(limits={"declined-share": "10%", "packets-per-link": "5/s"}).limits == Limits(
        packets_per_link=5.0, declined_share=0.1
    )


@pytest.mark.parametrize(
    ("key", "value", "name", "expected"),
    [
        ("id", 1, "id", 1),
        ("name", "office", "name", "office"),
        ("description", "second floor", "description", "second floor"),
        ("labels", {"site": "bern", "floor": 2}, "labels", {"site": "bern", "floor": "2"}),
        ("space", "tenant-a", "space", "tenant-a"),
        ("prefix", "10.1.0.0/24", "prefix", 0x0A010000),
        ("prefix", "10.1.0.0/24", "length", 24),
        ("link", "office", "link", "office"),
        ("relays", ["192.0.2.1", "192.0.2.2"], "relays", frozenset((0xC0000201, 0xC0000202))),
        ("strict-relays", True, "strict_relays", True),
        ("trust-option-82", True, "trust_option_82", True),
        ("state", "draining", "state", "draining"),
        ("unknown-clients", "deny", "unknown_clients", "deny"),
        ("allocator", "ordered", "allocator", "ordered"),
        ("client-identity", "hw-address", "client_identity", "hw-address"),
        ("exclude", ["10.1.0.9", "10.1.0.4-10.1.0.8"], "exclude", ((0x0A010004, 0x0A010009),)),
    ],
)
def test_every_key_of_a_subnet(key: str, value: object, name: str, expected: object) -> None:
    assert getattr(subnet(**{key: value}), name) == expected


@pytest.mark.parametrize(
    ("key", "value", "name"),
    [
        ("strict-relays", True, "strict_relays"),
        ("trust-option-82", True, "trust_option_82"),
        ("unknown-clients", "deny", "unknown_clients"),
        ("allocator", "ordered", "allocator"),
        ("client-identity", "hw-address", "client_identity"),
    ],
)
def test_switches_of_a_subnet_come_from_the_nearest_level_that_says_them(key: str, value: object, name: str) -> None:
    network = [{"name": "n", "subnets": [1]}]
    default = getattr(subnet(), name)
    assert getattr(compiled(**{key: value}).subnets[1], name) == value
    assert getattr(compiled(shared_networks=[network[0] | {key: value}]).subnets[1], name) == value
    config = compiled(**{key: value}, shared_networks=[network[0] | {key: default}])
    assert getattr(config.subnets[1], name) == default
    own = compiled(shared_networks=[network[0] | {key: default}], subnets=[SUBNET | {key: value}])
    assert getattr(own.subnets[1], name) == value


def test_ping_check_inherits_key_by_key() -> None:
    config = compiled(
        ping_check={"timeout": "100ms"},
        subnets=[
            SUBNET | {"ping-check": {"enabled": True}, "pools": [{"range": "10.1.0.9", "ping-check": {"cache": 1}}]}
        ],
    )
    assert config.subnets[1].parameters.ping_check == PingCheck(True, 0.1, 600.0)
    assert config.subnets[1].pools[0].parameters.ping_check == PingCheck(True, 0.1, 1.0)


def test_pools_are_compiled_without_what_can_never_be_leased() -> None:
    pool = subnet(
        pools=[{"range": "10.1.0.0/24", "classes": []}],
        exclude=["10.1.0.10-10.1.0.19"],
        option_data={"routers": ["10.1.0.1", "192.0.2.1"]},
    ).pools[0]
    assert (pool.first, pool.last) == (0x0A010000, 0x0A0100FF)
    assert pool.ranges == ((0x0A010002, 0x0A010009), (0x0A010014, 0x0A0100FE))


@pytest.mark.parametrize(("length", "count"), [(30, 2), (31, 2), (32, 1)])
def test_small_prefixes_keep_their_ends_as_rfc_3021_allows(length: int, count: int) -> None:
    prefix = f"10.1.0.0/{length}"
    pool = subnet(prefix=prefix, pools=[{"range": prefix}]).pools[0]
    assert sum(last - first + 1 for first, last in pool.ranges) == count


def test_classes_of_a_pool() -> None:
    classes = [{"name": "pxe", "match": {"user-class": "x"}}]
    config = compiled(client_classes=classes, subnets=[SUBNET | {"pools": [{"range": "10.1.0.9", "classes": ["pxe"]}]}])
    assert config.subnets[1].pools[0].classes == {"pxe"}


@pytest.mark.parametrize(
    ("said", "kind", "value", "relay"),
    [
        ({"hw-address": "02:00:00:00:00:01"}, "hw-address", b"\1\2\0\0\0\0\1", 0),
        ({"client-id": "ff:01"}, "client-id", b"\xff\1", 0),
        ({"client-id": "scanner"}, "client-id", b"scanner", 0),
        ({"circuit-id": "Gi1/0/3", "relay": "192.0.2.1"}, "circuit-id", b"Gi1/0/3", 0xC0000201),
        ({"remote-id": "0x0006"}, "remote-id", b"\0\6", 0),
    ],
)
def test_a_reservation_is_found_by_its_identifier_and_its_address(
    said: dict[str, str], kind: str, value: bytes, relay: int
) -> None:
    found = subnet(reservations=[said | {"address": "10.1.0.7", "hostname": "printer", "description": "x"}])
    expected = Reservation(kind, value, relay, address("10.1.0.7"), 1, "printer", Parameters())
    assert found.reservations == {(kind, value, relay): expected}
    assert found.reserved == {address("10.1.0.7"): expected}


def test_a_reservation_without_an_address_keeps_none() -> None:
    found = subnet(reservations=[{"hw-address": "02:00:00:00:00:01", "valid-lifetime": "1d"}])
    assert found.reserved == {}
    assert next(iter(found.reservations.values())).parameters.valid_lifetime == 86_400


@pytest.mark.parametrize(
    ("name", "value", "code", "expected"),
    [
        ("routers", ["10.1.0.1"], 3, OptionValue(b"\n\1\0\1")),
        ("3", "10.1.0.1", 3, OptionValue(b"\n\1\0\1")),
        ("domain-name", {"value": "x.org", "send": "always"}, 15, OptionValue(b"x.org", SEND_ALWAYS)),
        ("ntp-servers", {"send": "never"}, 42, OptionValue(b"", SEND_NEVER)),
        ("224", "0a:0b", 224, OptionValue(b"\n\x0b")),
        ("224", {"hex": "0a0b", "send": "always"}, 224, OptionValue(b"\n\x0b", SEND_ALWAYS)),
        ("vendor-encapsulated-options", {1: "0a"}, 43, OptionValue(b"\1\1\n")),
        (
            "vivso-suboptions",
            [{"enterprise": 3561, "options": {"1": "0a"}}],
            125,
            OptionValue(b"\0\0\r\xe9\3\1\1\n"),
        ),
        ("classless-static-route", ["10.0.0.0/8 via 10.1.0.1"], 121, OptionValue(b"\x08\n\n\1\0\1")),
        ("boot-file-name", "x", 67, OptionValue(b"x")),
    ],
)
def test_option_data_by_name_or_code_with_or_without_send(
    name: str, value: object, code: int, expected: OptionValue
) -> None:
    assert subnet(option_data={name: value}).parameters.options == {code: expected}


def test_an_option_of_ones_own_has_a_name_a_type_and_may_be_a_list() -> None:
    config = compiled(
        option_def=[
            {"name": "wlan-controller", "code": 150, "type": "ip-list"},
            {"name": "ports", "code": 230, "type": "uint16", "array": True},
        ],
        option_data={"wlan-controller": ["10.1.0.1"], "ports": [1, 2]},
    )
    assert config.parameters.options == {150: OptionValue(b"\n\1\0\1"), 230: OptionValue(b"\0\1\0\2")}
    assert config.option_names == {150: "wlan-controller", 230: "ports"}


def test_boot_settings_go_to_the_header_and_to_options_66_and_67() -> None:
    options = subnet(next_server="10.1.0.5", boot_file_name="x.efi").parameters.options
    assert options == {66: OptionValue(b"10.1.0.5"), 67: OptionValue(b"x.efi")}
    options = subnet(next_server="10.1.0.5", server_hostname="boot").parameters.options
    assert options == {66: OptionValue(b"boot")}
    options = subnet(boot_file_name="x", option_data={"boot-file-name": "y"}).parameters.options
    assert options == {67: OptionValue(b"y")}
    cleared = subnet(boot_file_name="").parameters
    assert (cleared.boot_file_name, cleared.options) == (b"", {67: OptionValue(b"", SEND_NEVER)})


def test_a_class_that_is_dropped() -> None:
    config = compiled(
        client_classes=[{"name": "bad", "match": {"hw-address": {"prefix": "02:bad:"}}, "action": "drop"}]
    )
    assert config.classes[0].action == "drop"
    assert config.classes[0].match({"hw-address": bytes.fromhex("02bad1000000")})
    assert not config.classes[0].match({"hw-address": bytes.fromhex("02bae1000000")})


def test_revisions_are_the_callers() -> None:
    config = load("schema: 1", revision=7, mod_revision=99)
    assert (config.revision, config.mod_revision) == (7, 99)

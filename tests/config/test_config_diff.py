"""config.diff: what a change does, for whom, in the operator's words."""

from __future__ import annotations

from typing import Any

from config_documents import SUBNET, compiled, large

from everlease.config.diff import NAMED, changes
from everlease.config.load import load
from everlease.core.model import Config

POOL = {"pools": [{"range": "10.1.0.10-10.1.0.20"}]}


def lines(old: Config | None, new: Config) -> list[str]:
    return [line for line in changes(old, new) if line is not None]


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    old, new = (compiled(subnets=[SUBNET | POOL | keys]) for keys in (before, after))
    return lines(old, new)


def test_the_same_document_changes_nothing() -> None:
    assert lines(load(large(20, 3)), load(large(20, 3), revision=2)) == []


def test_subnets_that_come_and_go() -> None:
    old = compiled(subnets=[SUBNET, {"id": 2, "prefix": "10.2.0.0/24"}])
    new = compiled(subnets=[SUBNET, {"id": 3, "prefix": "10.3.0.0/24"}])
    assert lines(old, new) == ["subnet 2 (10.2.0.0/24) is removed", "subnet 3 (10.3.0.0/24) is new: pools (none)"]
    assert lines(None, new) == ["the first configuration; subnets: 2, classes: 0"]


def test_every_kind_of_change_in_a_subnet_is_a_line_with_both_values() -> None:
    assert changed({}, {"prefix": "10.1.0.0/16"}) == ["subnet 1: prefix 10.1.0.0/24 -> 10.1.0.0/16"]
    assert changed({}, {"state": "draining"}) == ["subnet 1: state active -> draining"]
    assert changed({"link": "a"}, {"relays": ["192.0.2.1"]}) == [
        "subnet 1: link a -> (none)",
        "subnet 1: relays (none) -> 192.0.2.1",
    ]
    assert changed({}, {"exclude": ["10.1.0.12"]}) == ["subnet 1: exclude (none) -> 10.1.0.12"]
    assert changed({"valid-lifetime": "2h"}, {}) == ["subnet 1: valid-lifetime 2h -> (none)"]
    assert changed({}, {"next-server": "10.1.0.5", "option-data": {"66": "x"}}) == [
        "subnet 1: next-server (none) -> 10.1.0.5",
        "subnet 1: option tftp-server-name (not said) -> x",
    ]
    dns = {"option-data": {"domain-name-servers": ["10.1.0.2", "10.1.0.3"]}}
    never = {"option-data": {"domain-name-servers": {"send": "never"}}}
    assert changed(dns, never) == ["subnet 1: option domain-name-servers 10.1.0.2, 10.1.0.3 -> (never)"]


def test_a_pool_tells_its_range_its_state_and_what_its_clients_get() -> None:
    one = POOL["pools"][0]
    assert changed({}, {"pools": [{"range": "10.1.0.10-10.1.0.15"}]}) == [
        "subnet 1: pools 10.1.0.10-10.1.0.20 -> 10.1.0.10-10.1.0.15"
    ]
    assert changed({}, {"pools": [one | {"state": "draining", "valid-lifetime": "2h"}]}) == [
        "subnet 1, pool 10.1.0.10-10.1.0.20: state active -> draining",
        "subnet 1, pool 10.1.0.10-10.1.0.20: valid-lifetime (none) -> 2h",
    ]


def test_reservations_are_named_with_what_they_give() -> None:
    mac = {"hw-address": "02:00:00:00:00:01", "address": "10.1.0.15"}
    before = {"reservations": [mac, {"client-id": "printer"}]}
    after = {
        "reservations": [mac | {"hostname": "x", "boot-file-name": "b"}, {"circuit-id": "ge-1", "relay": "192.0.2.1"}]
    }
    assert changed(before, after) == [
        "subnet 1, reservation hw-address 02:00:00:00:00:01: hostname (none) -> x",
        "subnet 1, reservation hw-address 02:00:00:00:00:01: boot-file-name (none) -> b",
        "subnet 1, reservation hw-address 02:00:00:00:00:01: option boot-file-name (not said) -> b",
        "subnet 1: reservation circuit-id ge-1 behind 192.0.2.1 is new",
        "subnet 1: reservation client-id printer is removed",
    ]


def test_many_reservations_are_counted() -> None:
    after = {"reservations": [{"client-id": f"client-{number}"} for number in range(NAMED + 5)]}
    found = changed({}, after)
    assert (len(found), found[-1]) == (NAMED + 1, "subnet 1: 5 more reservations")


def test_a_change_of_the_whole_document_says_how_many_subnets_it_reaches() -> None:
    listed = [SUBNET, {"id": 2, "prefix": "10.2.0.0/24", "valid-lifetime": "1d"}]
    assert lines(compiled(subnets=listed), compiled(subnets=listed, valid_lifetime="2h")) == [
        "everywhere: valid-lifetime 1h -> 2h (in 1 of 2 subnets)"
    ]


def test_changes_of_classes_shared_networks_and_the_cluster() -> None:
    cls = {"name": "c", "match": {"user-class": "x"}}
    old = compiled(client_classes=[cls], shared_networks=[{"name": "n", "subnets": [1]}])
    new = compiled(
        cluster={"grace": "1m"},
        client_classes=[cls | {"match": {"user-class": "y"}, "boot-file-name": "pxe"}],
        shared_networks=[{"name": "n", "subnets": [1], "valid-lifetime": "5m"}],
    )
    assert lines(old, new) == [
        "cluster: grace (none) -> 1m",
        "class c: other clients match",
        "class c: boot-file-name (none) -> pxe",
        "class c: option boot-file-name (not said) -> pxe",
        "shared network n: valid-lifetime (none) -> 5m",
    ]


def test_an_option_of_the_operator_s_own_is_shown_by_its_type() -> None:
    own = [{"name": "wlan-controller", "code": 150, "type": "ip-list"}]
    old = compiled(option_def=own, option_data={"wlan-controller": ["10.1.0.9"]})
    new = compiled(option_def=own, option_data={"wlan-controller": {"value": ["10.1.0.8"], "send": "always"}})
    assert lines(old, new) == ["everywhere: option wlan-controller 10.1.0.9 -> 10.1.0.8 (always)"]


def test_the_comparison_goes_in_many_short_steps() -> None:
    one = {"reservations": [{"client-id": f"client-{number}"} for number in range(1000)]}
    old, new = compiled(subnets=[SUBNET]), compiled(subnets=[SUBNET | one])
    assert sum(1 for line in changes(old, new) if line is None) >= 10

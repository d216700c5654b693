"""config.diff: what a change does to subnets, and to leases that live."""

from typing import Any

from config_documents import SUBNET, address, compiled, large

from everlease.config.diff import EXAMPLES, NO_POOL, NO_SUBNET, RESERVED, Difference, difference, difference_steps
from everlease.config.load import load

POOL = {"pools": [{"range": "10.1.0.10-10.1.0.20"}]}


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    old, new = (compiled(subnets=[SUBNET | POOL | keys]) for keys in (before, after))
    return difference(old, new, []).changed.get(1, [])


def test_the_same_document_changes_nothing() -> None:
    old, new = load(large(20, 3)), load(large(20, 3), revision=2)
    assert difference(old, new, []).is_empty


def test_subnets_that_come_and_go() -> None:
    old = compiled(subnets=[SUBNET, {"id": 2, "prefix": "10.2.0.0/24"}])
    new = compiled(subnets=[SUBNET, {"id": 3, "prefix": "10.3.0.0/24"}])
    result = difference(old, new, [])
    assert (result.added, result.removed, result.changed) == ([3], [2], {})
    assert difference(None, new, []).added == [1, 3]


def test_every_kind_of_change_in_a_subnet_is_a_line() -> None:
    assert changed({}, {"prefix": "10.1.0.0/16"}) == ["prefix: 10.1.0.0/24 -> 10.1.0.0/16"]
    assert changed({}, {"state": "draining"}) == ["state: active -> draining"]
    assert changed({"link": "a"}, {"relays": ["192.0.2.1"]}) == ["link: a -> none", "relays: none -> 192.0.2.1"]
    assert changed({}, {"pools": [{"range": "10.1.0.30-10.1.0.40"}]}) == [
        "pools: 10.1.0.30-10.1.0.40 added",
        "pools: 10.1.0.10-10.1.0.20 removed",
    ]
    assert changed({}, {"pools": [POOL["pools"][0] | {"valid-lifetime": "2h"}]}) == [
        "pools: 10.1.0.10-10.1.0.20 changed"
    ]
    assert changed({"valid-lifetime": "2h"}, {}) == ["valid-lifetime: 7200 -> not said"]
    assert changed({}, {"next-server": "10.1.0.5", "option-data": {"66": "x"}}) == [
        "next-server: not said -> 10.1.0.5",
        "option tftp-server-name: not said -> x",
    ]
    assert changed(
        {"option-data": {"domain-name": "x"}}, {"option-data": {"domain-name": {"value": "y", "send": "always"}}}
    ) == ["option domain-name: x -> y (always)"]
    assert changed({}, {"exclude": ["10.1.0.12"]}) == [
        "exclude: none -> 10.1.0.12",
        "pools: 10.1.0.10-10.1.0.20 changed",
    ]


def test_reservations_are_counted() -> None:
    one, other = ({"client-id": name} for name in ("a", "b"))
    before = {"reservations": [one, other]}
    after = {"reservations": [one | {"hostname": "x"}, {"client-id": "c"}]}
    assert changed(before, after) == ["reservations: 1 added, 1 removed, 1 changed"]


def test_changes_above_the_subnets_are_general() -> None:
    cls = {"name": "c", "match": {"user-class": "x"}}
    old = compiled(client_classes=[cls])
    new = compiled(
        valid_lifetime="2h",
        cluster={"grace": "1m"},
        client_classes=[cls | {"match": {"user-class": "y"}}],
        shared_networks=[{"name": "n", "subnets": [1]}],
    )
    lines = difference(old, new, []).general
    assert lines[0] == "valid-lifetime: 3600 -> 7200"
    assert lines[1].startswith("cluster: ")
    assert lines[2:] == ["client-classes: c changed", "shared-networks: n added"]


def lease(text: str, client: bytes = b"\0x", space: str = "default") -> tuple[str, int, int, bytes]:
    return (space, address(text), 1, client)


def test_leases_that_the_change_orphans_are_counted_with_examples() -> None:
    hardware = b"\1\2\0\0\0\0\1"
    new = compiled(
        subnets=[
            SUBNET
            | POOL
            | {
                "exclude": ["10.1.0.12"],
                "reservations": [{"hw-address": "02:00:00:00:00:01", "address": "10.1.0.15"}],
            }
        ]
    )
    leases = [
        lease("10.1.0.11"),
        lease("10.1.0.12"),
        lease("10.1.0.15"),
        lease("10.1.0.15", b"\1" + hardware),
        lease("10.9.0.1"),
        lease("10.1.0.11", space="other"),
        *(lease(f"10.1.0.{host}") for host in range(100, 130)),
    ]
    orphans = difference(None, new, leases).orphans
    assert {fate: found.count for fate, found in orphans.items()} == {NO_POOL: 31, RESERVED: 1, NO_SUBNET: 2}
    assert len(orphans[NO_POOL].examples) == EXAMPLES
    assert orphans[NO_SUBNET].examples == [lease("10.9.0.1"), lease("10.1.0.11", space="other")]


def test_a_lease_whose_subnet_was_drawn_anew_is_no_orphan() -> None:
    new = compiled(subnets=[{"id": 9, "prefix": "10.0.0.0/8", "pools": [{"range": "10.1.0.0/16"}]}])
    assert difference(None, new, [lease("10.1.0.11")]).orphans == {}


def test_the_comparison_goes_in_many_short_steps() -> None:
    config = load(large(50, 4))
    result = Difference()
    steps = sum(1 for _ in difference_steps(config, config, [lease("10.0.0.120")] * 100, result))
    assert steps >= 50 + 50 * 4 + 50 + 100
    assert result.is_empty

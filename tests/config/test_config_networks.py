"""What subnets mean together: whatever a packet says, at most one network fits it."""

from typing import Any

import pytest
from config_documents import address, compiled, problems

TWO: list[dict[str, Any]] = [{"id": 1, "prefix": "10.1.0.0/16"}, {"id": 2, "prefix": "10.2.0.0/24"}]


def two(first: dict[str, Any] | None = None, second: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    return [TWO[0] | (first or {}), TWO[1] | (second or {})]


def test_a_subnet_by_itself_is_a_network_without_a_name() -> None:
    config = compiled(subnets=TWO)
    assert [(network.name, [subnet.id for subnet in network.subnets]) for network in config.networks] == [
        ("", [1]),
        ("", [2]),
    ]
    assert config.network_of[2].subnets == (config.subnets[2],)


def test_a_shared_network_holds_its_subnets_and_says_its_parameters() -> None:
    config = compiled(subnets=TWO, shared_networks=[{"name": "campus", "subnets": [1, 2], "valid-lifetime": "2h"}])
    (network,) = config.networks
    assert (network.name, [subnet.id for subnet in network.subnets]) == ("campus", [1, 2])
    assert network.parameters.valid_lifetime == 7200
    assert config.network_of[1] is config.network_of[2] is network


def test_networks_are_found_by_relay_link_and_prefix() -> None:
    config = compiled(subnets=two({"relays": ["192.0.2.1", "192.0.2.2"], "link": "a"}, {"link": "b"}))
    assert {relay: network.subnets[0].id for relay, network in config.by_relay.items()} == {
        address("192.0.2.1"): 1,
        address("192.0.2.2"): 1,
    }
    assert {link: network.subnets[0].id for link, network in config.by_link.items()} == {"a": 1, "b": 2}
    assert {length: {key: one.id for key, one in table.items()} for length, table in config.by_prefix.items()} == {
        16: {0x0A01: 1},
        24: {0x0A0200: 2},
    }


def test_longer_prefixes_are_looked_up_first() -> None:
    assert list(compiled(subnets=TWO).by_prefix) == [24, 16]


def test_one_link_or_relay_may_lead_to_several_subnets_of_one_shared_network() -> None:
    said = {"link": "x", "relays": ["192.0.2.1"]}
    config = compiled(subnets=two(said, said), shared_networks=[{"name": "n", "subnets": [1, 2]}])
    assert config.by_link["x"] is config.by_relay[address("192.0.2.1")] is config.networks[0]


def test_prefixes_of_two_spaces_may_overlap_where_relays_or_links_tell_them_apart() -> None:
    config = compiled(
        subnets=[
            {"id": 1, "prefix": "10.0.0.0/24", "space": "a", "relays": ["192.0.2.1"]},
            {"id": 2, "prefix": "10.0.0.0/16", "space": "b", "link": "b"},
            {"id": 3, "prefix": "10.0.0.0/24"},
            {"id": 4, "prefix": "10.9.0.0/24", "space": "a"},
        ]
    )
    found = {one.id for table in config.by_prefix.values() for one in table.values()}
    assert found == {3, 4}  # what two spaces share tells nothing, but for the default space


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "subnets: [{id: 1, prefix: 10.0.0.0/16}, {id: 2, prefix: 10.0.1.0/24}, {id: 3, prefix: 10.1.0.0/16}]",
            ["subnets[1].prefix (line 1): 10.0.1.0/24 overlaps 10.0.0.0/16 of subnets[0] in the space"],
        ),
        (
            "subnets: [{id: 1, prefix: 10.0.0.0/24}, {id: 2, prefix: 10.0.0.0/24}]",
            ["subnets[1].prefix (line 1): 10.0.0.0/24 overlaps 10.0.0.0/24 of subnets[0] in the space"],
        ),
        (
            "subnets: [{id: 1, prefix: 10.0.0.0/24}, {id: 2, prefix: 10.0.0.0/16, space: b}]",
            ["subnets[1].prefix (line 1): 10.0.0.0/16 exists in another space too; say with link or relays"],
        ),
        (
            "subnets: [{id: 1, prefix: 10.0.0.0/24, link: a}, {id: 2, prefix: 10.1.0.0/24, link: a}]",
            ['subnets[1].link (line 1): link "a" leads to subnet 1 already; put them in one shared network'],
        ),
        (
            "subnets: [{id: 1, prefix: 10.0.0.0/24, relays: [192.0.2.1]},"
            " {id: 2, prefix: 10.1.0.0/24, relays: [192.0.2.9, 192.0.2.1]}]",
            ["subnets[1].relays[1] (line 1): relay 192.0.2.1 leads to subnet 1 already"],
        ),
        (
            "{subnets: [{id: 1, prefix: 10.0.0.0/24}, {id: 2, prefix: 10.1.0.0/24, space: b}],"
            " shared-networks: [{name: n, subnets: [1, 2]}]}",
            ["subnets[1].space (line 1): a shared network lies in one space"],
        ),
        (
            "{subnets: [{id: 1, prefix: 10.0.0.0/24}, {id: 2, prefix: 10.1.0.0/24, client-identity: hw-address}],"
            " shared-networks: [{name: n, subnets: [1, 2]}]}",
            ["subnets[1].client-identity (line 1): the subnets of a shared network know a client by the same rule"],
        ),
        (
            "{subnets: [{id: 1, prefix: 10.0.0.0/24}], shared-networks: [{name: n, subnets: [1]},"
            " {name: n, subnets: [1]}]}",
            [
                'shared-networks[1].name (line 1): a shared network "n" exists already',
                "shared-networks[1].subnets[0] (line 1): subnet 1 is in shared-networks[0] already",
            ],
        ),
        (
            "{subnets: [{id: 1, prefix: 10.0.0.0/24, reservations: [{client-id: a}]},"
            " {id: 2, prefix: 10.1.0.0/24, reservations: [{client-id: a}]}],"
            " shared-networks: [{name: n, subnets: [1, 2]}]}",
            ["subnets[1].reservations[0] (line 1): the same client is reserved at subnets[0].reservations[0]"],
        ),
    ],
)
def test_what_could_fit_two_networks_is_refused(text: str, expected: list[str]) -> None:
    found = problems(text)
    assert len(found) == len(expected), found
    assert all(line.startswith(start) for line, start in zip(found, expected, strict=True)), found


def test_one_client_may_be_reserved_in_networks_that_are_apart() -> None:
    reservation = {"reservations": [{"client-id": "a"}]}
    assert len(compiled(subnets=two(reservation, reservation)).subnets) == 2


def test_one_address_may_be_reserved_in_two_spaces() -> None:
    listed = [{"hw-address": "02:00:00:00:00:01", "address": "10.0.0.9"}]
    prefix = {"prefix": "10.0.0.0/24", "reservations": listed}
    config = compiled(subnets=[prefix | {"id": 1}, prefix | {"id": 2, "space": "b", "link": "b"}])
    assert config.subnets[1].reserved.keys() == config.subnets[2].reserved.keys()

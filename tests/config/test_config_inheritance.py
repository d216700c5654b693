"""global > shared network > subnet > pool > class > reservation: the most specific level that speaks wins."""

import itertools
from typing import Any

import pytest
from config_documents import SUBNET, compiled

from everlease.core.model import Parameters, Policy
from everlease.core.policy import resolve

LEVELS = ("global", "shared network", "subnet", "pool", "class", "reservation")


def resolved(said: dict[str, dict[str, Any]]) -> Policy:
    """The policy of a client that every level applies to; `said`: keys by level."""
    inner = SUBNET | {
        "pools": [{"range": "10.1.0.9"} | said.get("pool", {})],
        "reservations": [{"client-id": "a"} | said.get("reservation", {})],
    }
    config = compiled(
        **said.get("global", {}),
        shared_networks=[{"name": "n", "subnets": [1]} | said.get("shared network", {})],
        client_classes=[{"name": "c", "match": {"user-class": "x"}} | said.get("class", {})],
        subnets=[inner | said.get("subnet", {})],
    )
    subnet = config.subnets[1]
    (reservation,) = subnet.reservations.values()
    levels: list[Parameters] = [
        reservation.parameters,
        config.classes[0].parameters,
        subnet.pools[0].parameters,
        subnet.parameters,
        config.network_of[1].parameters,
        config.parameters,
    ]
    return resolve(iter(levels), subnet, reservation)


@pytest.mark.parametrize(("above", "below"), list(itertools.combinations(LEVELS, 2)))
def test_the_more_specific_of_two_levels_wins(above: str, below: str) -> None:
    policy = resolved(
        {
            above: {"valid-lifetime": "2h", "option-data": {"domain-name": "above", "ntp-servers": "192.0.2.1"}},
            below: {"valid-lifetime": "4h", "option-data": {"domain-name": "below"}},
        }
    )
    assert policy.valid_lifetime == 14_400
    assert policy.options[15].data == b"below"
    assert policy.options[42].data == b"\xc0\0\2\1"


@pytest.mark.parametrize("level", LEVELS)
def test_one_level_that_speaks_is_enough(level: str) -> None:
    policy = resolved({level: {"offer-lifetime": "45s", "boot-file-name": "x.efi", "authoritative": True}})
    assert (policy.offer_lifetime, policy.boot_file_name, policy.authoritative) == (45, b"x.efi", True)
    assert policy.options[67].data == b"x.efi"


def test_an_inherited_option_is_taken_away_by_never() -> None:
    policy = resolved(
        {"global": {"option-data": {"domain-name": "x"}}, "pool": {"option-data": {"domain-name": {"send": "never"}}}}
    )
    assert policy.options[15].data == b""

"""What every node makes of the keeper's words: its committer's room, and what people read."""

from __future__ import annotations

import pytest

from everlease.core.actions import GRANT, RENEW
from everlease.runtime.committer import ROOM
from everlease.runtime.condition import BEYOND, FAR_BEYOND, StoreCondition
from everlease.runtime.keeper.facts import Wait
from everlease.runtime.keeper.trouble import trouble_of
from everlease.store.keeping import Tenure
from keeper.looks import MIB, look, member
from runtime.house import House, Weather, config_of, grant

ALICE = b"\x02\x01\x02\x00\x00\x00\x00\x01"


def condition(fullness: float) -> StoreCondition:
    made = StoreCondition()
    made.adopt(Tenure("n2", "b", 1, quota=100, fullness=fullness, trouble="why"), mine=False)
    return made


def test_a_store_beyond_its_quota_gets_no_new_bindings_from_us_and_far_beyond_only_presence() -> None:
    assert condition(BEYOND - 0.01).room() == ROOM
    assert condition(BEYOND).room() == (*ROOM[:2], 0, 0)
    assert condition(FAR_BEYOND).room() == (ROOM[0], 0, 0, 0)


def test_without_a_keeper_what_the_last_one_said_still_holds() -> None:
    known = condition(1.2)
    known.adopt(None, mine=False)
    assert (known.keeper, known.trouble, known.quota) == ("", "why", 100)
    assert known.room() != ROOM


@pytest.mark.parametrize(
    ("fullness", "granted", "renewed"), [(0.5, True, True), (BEYOND, False, True), (FAR_BEYOND, False, False)]
)
async def test_the_committer_refuses_what_the_store_has_no_room_for(
    fullness: float, granted: bool, renewed: bool
) -> None:
    house = House("n1", Weather())
    house.committer.room = condition(fullness).room()
    new = grant(0x0A4D1001, ALICE)
    assert (house.committer.submit(new, config_of(), house.time.boot(), lambda _outcome: None) is not None) == granted
    known = grant(0x0A4D1002, ALICE)
    known.kind = RENEW
    assert known.kind != GRANT
    assert (house.committer.submit(known, config_of(), house.time.boot(), lambda _outcome: None) is not None) == renewed
    await house.committer.close()


def test_trouble_names_the_member_the_cause_and_what_is_being_waited_for() -> None:
    facts = look(member(3, size=1010 * MIB), full=(3,))
    words = trouble_of(facts, Wait("m2 did not answer"))
    assert "m3 has used up its quota (NOSPACE)" in words
    assert "m2 did not answer" in words


def test_a_member_that_is_nearly_full_is_trouble_and_a_healthy_store_is_none() -> None:
    assert trouble_of(look(), None) == ""
    assert "m2 uses 75% of its quota (750 of 1000 MiB)" in trouble_of(look(member(2, size=750 * MIB)), None)


def test_a_corrupt_member_is_told_and_never_disarmed() -> None:
    facts = look(alarms=frozenset({(2, "CORRUPT")}))
    assert "m2 has raised CORRUPT" in trouble_of(facts, None)
    assert facts.full() == frozenset()
    unknown = look(alarms=frozenset({(0xAB, "NOSPACE")}))
    assert "member ab" in trouble_of(unknown, None)

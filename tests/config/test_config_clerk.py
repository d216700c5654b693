"""config.clerk: reservations read in a process beside mean what they would mean in the document."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from everlease.config import clerk as clerks
from everlease.config.clerk import BadReservation, Clerk
from everlease.config.load import load
from everlease.core.model import Reservation

DOCUMENT = """
valid-lifetime: 2h
option-def: [{name: wlan-controller, code: 150, type: ip-list}]
subnets:
  - {id: 7, prefix: 10.7.0.0/16, pools: [{range: 10.7.1.0/24}], reservations: [%s]}
"""
WRITTEN = {
    "hw-address": "02:00:00:00:00:01",
    "address": "10.7.2.3",
    "hostname": "printer",
    "option-data": {"wlan-controller": ["10.7.0.9"], "routers": ["10.7.0.1"]},
    "renew-time": "30m",
}
IN_DOCUMENT = (
    '{hw-address: "02:00:00:00:00:01", address: 10.7.2.3, hostname: printer, renew-time: 30m,'
    " option-data: {wlan-controller: [10.7.0.9], routers: [10.7.0.1]}}"
)


@pytest.fixture
async def clerk() -> AsyncIterator[Clerk]:
    """One whose process ends with the test."""
    found = Clerk()
    yield found
    await found.close()


async def test_a_reservation_read_beside_is_the_documents_own(clerk: Clerk) -> None:
    config = load(DOCUMENT % "")
    (found,) = await clerk.read(config, [(WRITTEN, config.subnets[7])])
    assert [found] == list(load(DOCUMENT % IN_DOCUMENT).subnets[7].reservations.values())


async def test_each_of_many_has_its_own_fate_and_faults_are_named_by_their_key(clerk: Clerk) -> None:
    config = load(DOCUMENT % "")
    wrong = WRITTEN | {"address": "10.8.0.1", "renew-time": "3h"}
    jobs = [(wrong if number % 50 == 0 else WRITTEN, config.subnets[7]) for number in range(clerks.MOST * 2)]
    found = await clerk.read(config, jobs)
    bad = [place for place, each in enumerate(found) if isinstance(each, BadReservation)]
    assert bad == [0, 50, 100]
    assert isinstance(found[0], BadReservation)
    assert {key for key, _ in found[0].findings} == {"address", "renew-time"}
    assert all(isinstance(each, Reservation) for place, each in enumerate(found) if place not in bad)


async def test_a_process_that_was_killed_is_followed_by_another(clerk: Clerk) -> None:
    config = load(DOCUMENT % "")
    job = (WRITTEN, config.subnets[7])
    first = await clerk.read(config, [job])
    assert clerk._process is not None
    clerk._process.kill()
    await clerk._process.fate()
    assert await clerk.read(config, [job]) == first


async def test_a_process_that_nobody_needs_ends(clerk: Clerk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clerks, "IDLE", 0.0)
    config = load(DOCUMENT % "")
    await clerk.read(config, [(WRITTEN, config.subnets[7])])
    process = clerk._process
    assert process is not None
    assert await process.fate()
    assert not process.alive

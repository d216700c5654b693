"""Configuration documents in etcd: whole or not there, and one of two who publish at once wins."""

from __future__ import annotations

import asyncio
import random

import pytest

from everlease.store import configuration
from everlease.store.api import BatchResult, Unavailable
from everlease.store.configuration import Conflict, Documents
from everlease.store.keys import Keys
from everlease.store.memory import MemoryStore
from everlease.store.records import UNREADABLE, BadRecord
from everlease.store.txn import Leaf, single
from store.conftest import Place
from store.makers import NOW

TEXT = "# as written, comments too\nsubnets: []\n"


@pytest.fixture
def documents(place: Place) -> Documents:
    return Documents(place.store, place.keys)


async def test_there_is_no_revision_before_the_first(documents: Documents) -> None:
    assert await documents.current() == (None, 0)
    assert await documents.history() == []


async def test_a_document_comes_back_as_it_was_written(documents: Documents) -> None:
    made = await documents.publish(TEXT, 0, "ada", "first", NOW)
    current, mod_revision = await documents.current()
    assert (current, made.revision) == (made, 1)
    assert mod_revision > 0
    assert await documents.fetch(1) == TEXT


async def test_a_document_of_many_chunks_comes_back_whole(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configuration, "CHUNK", 1000)
    text = "".join(random.Random(1).choices("abcdefgh: \n-äß", k=20_000))
    made = await documents.publish(text, 0, "ada", "large", NOW)
    assert made.chunks > 5
    assert await documents.fetch(1) == text


async def test_publishing_on_top_of_another_revision_is_refused(documents: Documents) -> None:
    await documents.publish(TEXT, 0, "ada", "", NOW)
    with pytest.raises(Conflict) as refused:
        await documents.publish("subnets: [] # mine", 0, "bob", "", NOW)
    assert refused.value.revision == 1
    assert await documents.fetch(1) == TEXT


async def test_of_two_who_publish_at_once_one_wins_and_its_document_is_whole(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configuration, "CHUNK", 64)
    texts = ["".join(random.Random(seed).choices("abcdef", k=2000)) for seed in range(4)]
    attempts = [documents.publish(text, 0, f"admin{number}", "", NOW) for number, text in enumerate(texts)]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    winners = [one for one in outcomes if not isinstance(one, BaseException)]
    assert all(isinstance(one, Conflict) for one in outcomes if isinstance(one, BaseException))
    assert len(winners) <= 1  # all of them may have met, and none lost anything
    if winners:
        assert await documents.fetch(1) == texts[int(winners[0].author[-1])]


async def test_who_comes_late_does_not_write_into_what_is_in_force(documents: Documents) -> None:
    _, mod_revision = await documents.current()
    made = await documents.publish(TEXT, 0, "ada", "", NOW)
    await documents._put_chunks(made, mod_revision, [b"of somebody who had read that nothing is in force"])
    assert await documents.fetch(1) == TEXT


async def test_a_broken_record_is_replaced_by_a_revision_that_was_never_used(documents: Documents) -> None:
    for number in range(2):
        await documents.publish(TEXT, number, "ada", "", NOW)
    await documents._store.batch(single(Leaf({}, [(documents._keys.config_current, b"junk")])), 5.0)
    current, _ = await documents.current()
    assert current == UNREADABLE
    with pytest.raises(BadRecord, match="config apply"):
        await documents.fetch(0)
    assert (await documents.publish(TEXT, 0, "bob", "", NOW)).revision == 3


async def test_history_tells_every_revision_with_author_and_comment(documents: Documents) -> None:
    for number in range(3):
        await documents.publish(f"{TEXT}# {number}", number, "ada", f"change {number}", NOW + number)
    told = [(one.revision, one.comment, one.applied_at) for one in await documents.history()]
    assert told == [(1, "change 0", NOW), (2, "change 1", NOW + 1), (3, "change 2", NOW + 2)]
    assert await documents.fetch(2) == f"{TEXT}# 1"


async def test_a_revision_that_never_was_is_said_not_to_be_there(documents: Documents) -> None:
    with pytest.raises(BadRecord, match="no configuration revision 9"):
        await documents.fetch(9)


async def test_a_damaged_document_is_not_handed_out(place: Place, documents: Documents) -> None:
    await documents.publish(TEXT, 0, "ada", "", NOW)
    await place.store.batch(single(Leaf({}, [(place.keys.config_chunk(1, 0), b"x")])), 2.0)
    with pytest.raises(BadRecord, match="damaged"):
        await documents.fetch(1)


class Forgetful(MemoryStore):
    """Loses its answer to the last step of a publication; what it was told is done."""

    def __init__(self, key: bytes) -> None:
        super().__init__()
        self._key = key

    async def batch(self, request: bytes, deadline: float, member: str | None = None) -> BatchResult:
        result = await super().batch(request, deadline, member)
        if self._key in request:
            raise Unavailable("DEADLINE_EXCEEDED")
        return result


async def test_a_lost_answer_is_not_taken_for_a_failure() -> None:
    keys = Keys()
    made = await Documents(Forgetful(keys.config_note(1)), keys).publish(TEXT, 0, "ada", "", NOW)
    assert made.revision == 1

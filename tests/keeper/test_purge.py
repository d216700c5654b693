"""What nobody needs any more is removed, and nothing else: on the in-memory store."""

from __future__ import annotations

from admin.furnished import NOW, furnish
from everlease.runtime.keeper.purge import (
    CHUNKS,
    DOCUMENTS,
    LEAST,
    MOST,
    NOTES,
    SILENT,
    Purge,
    dead_nodes,
    keep_nodes,
    old_documents,
    old_notes,
)
from everlease.runtime.rooms import Rooms
from everlease.store.api import KeyValue
from everlease.store.keys import range_end
from everlease.store.records import Presence, decode_presence, encode
from everlease.store.txn import Leaf, single
from everlease.store.view import Peer


def peer(name: str, clock: float, config: int = 1) -> Peer:
    return Peer(name, Presence("boot", 1, "serving", clock, config=config), 7, 1)


def dead(silent: float, age: float, keep: float = LEAST) -> list[str]:
    """Whether a node goes that we have not heard for `silent` seconds, and that wrote `age` seconds ago."""
    return dead_nodes({"n2": peer("n2", NOW - age)}, {"n2": 1000.0 - silent}, 1000.0, NOW, keep)


def test_a_dead_nodes_record_goes_when_no_client_can_ask_for_it_any_more() -> None:
    assert dead(SILENT, LEAST) == ["n2"]


def test_a_record_stays_while_it_was_written_not_long_ago_or_its_node_was_just_heard() -> None:
    assert dead(SILENT, LEAST - 1) == []
    assert dead(SILENT - 1, 10 * LEAST) == []  # whatever its clock says
    assert dead(SILENT, -9e9) == []


def test_a_dead_nodes_record_stays_for_the_longest_lifetime_within_bounds() -> None:
    assert keep_nodes(60) == LEAST
    assert keep_nodes(7 * 86400) == 7 * 86400
    assert keep_nodes(0xFFFFFFFF) == MOST


def test_the_newest_documents_and_those_in_use_stay() -> None:
    assert old_documents(dict.fromkeys(range(1, CHUNKS + 1), 1), ()) == []
    assert old_documents(dict.fromkeys(range(1, CHUNKS + 5), 1), ()) == [1, 2, 3, 4]
    assert old_documents(dict.fromkeys(range(1, CHUNKS + 5), 1), (2, 3)) == [1, 4]
    assert old_documents(dict.fromkeys(range(1, CHUNKS + 5), 0), ()) == []  # there is none to lose


def test_twenty_documents_stay_however_large_they_are() -> None:
    huge = dict.fromkeys(range(1, DOCUMENTS + 11), CHUNKS)
    assert old_documents(huge, ()) == list(range(1, 11))


def test_the_history_outlives_the_documents_and_ends_too() -> None:
    chunks = dict.fromkeys(range(1, NOTES + 4), 0) | {2: 1}
    assert old_notes(chunks) == [1, 3]


async def listed(rooms: Rooms, prefix: bytes) -> list[KeyValue]:
    return list((await rooms.store.get_range(prefix, range_end(prefix))).records)


async def present(rooms: Rooms, name: str, clock: float, config: int = 1) -> None:
    """A node's record, in the store and as the watch would bring it."""
    key, value = rooms.keys.node(name), encode(peer(name, clock, config).presence)
    revision = (await rooms.store.batch(single(Leaf({}, [(key, value)])), 1.0)).revision
    found = Peer(name, decode_presence(value), revision, 1)
    rooms.view.nodes[name] = found
    rooms.membership.observe(name, found, rooms.clock.boot())


async def test_only_dead_nodes_are_removed_from_the_store() -> None:
    rooms = furnish()
    await present(rooms, "dead", NOW - 2 * LEAST)
    await present(rooms, "late", NOW - 60)
    for member in rooms.membership.members.values():
        member.seen_at -= SILENT
    await present(rooms, "alive", NOW)
    assert await Purge(rooms).nodes() == ["dead"]
    assert [record.key for record in await listed(rooms, rooms.keys.nodes)] == [
        rooms.keys.node("alive"),
        rooms.keys.node("late"),
    ]


async def test_a_node_that_came_back_meanwhile_stays() -> None:
    rooms = furnish()
    await present(rooms, "n2", NOW - 2 * LEAST)
    rooms.membership.members["n2"].seen_at -= SILENT
    await rooms.store.batch(single(Leaf({}, [(rooms.keys.node("n2"), b"alive again")])), 1.0)
    assert await Purge(rooms).nodes() == []
    assert len(await listed(rooms, rooms.keys.nodes)) == 1


async def documented(rooms: Rooms, count: int) -> None:
    for number in range(count):
        await rooms.configuration.documents.publish(f"schema: 1 # {number}\n", number, "anna", "", NOW)


COUNT = CHUNKS + 5


async def test_old_documents_go_the_history_stays_and_so_do_those_that_nodes_use() -> None:
    rooms = furnish()
    await documented(rooms, COUNT)
    await present(rooms, "n2", NOW, config=2)
    assert await Purge(rooms).documents() == [1, 3, 4, 5]
    documents = rooms.configuration.documents
    told = {each.revision: (each.chunks, each.author) for each in await documents.history()}
    assert told == {number: (int(number not in (1, 3, 4, 5)), "anna") for number in range(1, COUNT + 1)}
    assert await documents.fetch(2) == "schema: 1 # 1\n"
    assert len(await listed(rooms, rooms.keys.config_docs)) == CHUNKS + 1
    assert await Purge(rooms).documents() == []


async def test_a_document_published_after_purging_has_the_next_number() -> None:
    rooms = furnish()
    await documented(rooms, COUNT)
    await Purge(rooms).documents()
    after = await rooms.configuration.documents.publish("schema: 1\n", COUNT, "anna", "", NOW)
    assert after.revision == COUNT + 1

"""An index entry goes when the address that it names is another client's, and stays in every other case."""

from __future__ import annotations

from typing import Any

import pytest

from admin.furnished import NOW, furnish
from everlease.core.lifecycle import BOUND, OFFERED, Lease
from everlease.runtime.keeper import indexes
from everlease.runtime.keeper.indexes import Indexes
from everlease.runtime.rooms import Rooms
from everlease.store.api import KeyValue, Page
from everlease.store.keys import index_value, range_end
from everlease.store.records import encode_lease
from everlease.store.txn import Leaf, single

ADDRESS = 0x0A4D1001
ANNA, BERN = b"\x01\x02\x00\x00\x00\x00\x01", b"\x01\x02\x00\x00\x00\x00\x02"


async def put(rooms: Rooms, *pairs: tuple[bytes, bytes]) -> None:
    await rooms.store.batch(single(Leaf({}, list(pairs))), 1.0)


def entry(rooms: Rooms, client: bytes, address: int = ADDRESS) -> tuple[bytes, bytes]:
    return rooms.keys.client("default", 1, client), index_value(address)


def record(rooms: Rooms, client: bytes, state: int = BOUND, address: int = ADDRESS) -> tuple[bytes, bytes]:
    lease = Lease(client, client[1:], state, int(NOW), int(NOW) + 60, 60, 1)
    return rooms.keys.lease("default", address), encode_lease(lease)


async def left(rooms: Rooms) -> list[bytes]:
    clients = rooms.keys.clients
    return [each.key for each in (await rooms.store.get_range(clients, range_end(clients))).records]


async def test_the_entry_of_a_client_whose_address_was_offered_to_another_goes() -> None:
    rooms = furnish()
    await put(rooms, entry(rooms, ANNA), record(rooms, BERN, OFFERED))
    assert await Indexes(rooms).purge() == [rooms.keys.client("default", 1, ANNA).decode()]
    assert await left(rooms) == []


async def test_an_entry_that_names_no_record_goes() -> None:
    rooms = furnish()
    await put(rooms, entry(rooms, ANNA))
    assert len(await Indexes(rooms).purge()) == 1


async def test_the_entry_of_the_client_that_has_the_address_stays_though_the_view_has_not_heard_of_it() -> None:
    rooms = furnish()
    await put(rooms, entry(rooms, ANNA), record(rooms, ANNA))
    assert await Indexes(rooms).purge() == []
    assert await left(rooms) == [rooms.keys.client("default", 1, ANNA)]


async def test_what_cannot_be_read_is_left_alone() -> None:
    rooms = furnish()
    strange = rooms.keys.clients + b"default/6/1/00", b"x"
    await put(rooms, strange, entry(rooms, ANNA), (rooms.keys.lease("default", ADDRESS), b"{"))
    assert await Indexes(rooms).purge() == []
    assert len(await left(rooms)) == 2


async def test_an_entry_that_changes_while_it_is_looked_at_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    rooms = furnish()
    await put(rooms, entry(rooms, ANNA), record(rooms, BERN))
    batch = rooms.store.batch

    async def overtaken(*args: object, **kwargs: object) -> object:
        await batch(single(Leaf({}, [entry(rooms, ANNA, ADDRESS + 1)])), 1.0)
        return await batch(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(rooms.store, "batch", overtaken)
    assert await Indexes(rooms).purge() == []
    assert await left(rooms) == [rooms.keys.client("default", 1, ANNA)]


async def test_many_entries_are_gone_through_piece_by_piece_and_then_from_the_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(indexes, "PAGE", 2)
    monkeypatch.setattr(indexes, "PAGES", 2)
    rooms = furnish()
    clients = [b"\x01\x02\x00\x00\x00\x00" + bytes([n]) for n in range(10)]
    await put(rooms, *(entry(rooms, client, ADDRESS + n) for n, client in enumerate(clients)))
    purge = Indexes(rooms).purge
    assert [len(await purge()) for _ in range(4)] == [4, 4, 2, 0]
    await put(rooms, entry(rooms, ANNA))
    assert len(await purge()) == 1


async def test_no_question_to_the_store_has_more_than_a_page_of_known_clients_before_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(indexes, "PAGE", 4)
    rooms = furnish()
    clients = [b"\x01\x02\x00\x00\x00\x00" + bytes([n * 37 % 64]) for n in range(64)]
    for number, client in enumerate(clients):
        address = ADDRESS + number
        await put(rooms, entry(rooms, client, address), record(rooms, client, address=address))
        key, value = record(rooms, client, address=address)
        rooms.view.apply(KeyValue(key, value, number + 2))
    keys = sorted(rooms.keys.client("default", 1, client) for client in clients)
    asked: list[int] = []
    get_range = rooms.store.get_range

    async def counting(start: bytes, end: bytes, **more: Any) -> Page:
        asked.append(sum(start <= key < end for key in keys))
        return await get_range(start, end, **more)

    monkeypatch.setattr(rooms.store, "get_range", counting)
    monkeypatch.setattr(indexes, "PAUSE", 0.0)
    assert await Indexes(rooms).purge() == []
    assert len(asked) > 16
    assert max(asked) <= 16  # of 64

"""Saving asks the store for what there is, and not for every block of addresses where there is nothing."""

from __future__ import annotations

import asyncio

from admin.furnished import furnish
from backup.made import NOW
from everlease.backup.lines import Reader
from everlease.backup.saving import PAGE, Place, save
from everlease.store.records import ReservationRecord, dotted, encode
from everlease.store.txn import Leaf, single


async def test_behind_the_last_of_many_reservations_the_rest_of_the_addresses_is_looked_at_once() -> None:
    rooms = furnish()
    for number in range(PAGE + 20):
        address = 0x0A4D0000 + number
        record = ReservationRecord("hw-address", f"0102000000{number:04x}", 1, address=dotted(address))
        key = rooms.keys.reservations("default") + b"%08x" % address
        await rooms.store.batch(single(Leaf({}, [(key, encode(record))])), 1.0)
    documents, spans = rooms.configuration.documents, rooms.view.spans
    place = Place(rooms.store, rooms.keys, documents, lambda: (), spans, lambda: NOW, "n1")
    reader = Reader()

    async def read() -> None:
        async for data in save(place):
            for _ in reader.feed(data):
                pass

    await asyncio.wait_for(read(), 20)  # a block at a time, a million questions
    assert reader.finish().counts["reservation"] == PAGE + 20

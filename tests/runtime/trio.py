"""Three nodes on one link, and clients whom they answer in an order that is known."""

from __future__ import annotations

from everlease.core.identity import client_bucket
from everlease.wire import v4
from runtime.house import House, Weather
from runtime.test_responder import hear, message, selecting


class Trio:
    """Three nodes on one link; `order(mac)` are they as they answer a client: owner first."""

    def __init__(self) -> None:
        weather = Weather()
        self.houses = [House(name, weather, host=host) for host, name in enumerate(("one", "two", "three"), 2)]
        self.by_name = {house.rooms.name: house for house in self.houses}

    def order(self, mac: bytes) -> list[House]:
        order = self.houses[0].rooms.membership.peers("office", 0).order
        return [self.by_name[name] for name in order[client_bucket(b"\x02\x01" + mac)]]

    def clients(self, *order: House) -> list[bytes]:
        """Clients whom these nodes answer in this order."""
        macs = [bytes((2, 0, 0, 0, 1, number)) for number in range(200)]
        return [mac for mac in macs if self.order(mac)[: len(order)] == list(order)]

    async def beat(self, *silent: House, seconds: float = 0.5) -> None:
        for house in self.houses:
            if house in silent:
                house.time.boot_now += seconds
            else:
                await house.beat(seconds)
        for house in self.houses:
            house.rooms.membership.judge(house.time.boot())

    def blamed(self) -> set[str]:
        return {name for house in self.houses for _, name in house.rooms.counters.takeovers}

    async def ask(self, *macs: bytes, of: list[House]) -> list[tuple[House, v4.Packet]]:
        """Clients broadcast a DISCOVER; who offers what."""
        return [
            (house, offer) for mac in macs for house in of for offer in await hear(house, message(v4.DISCOVER, mac))
        ]

    async def take(self, offer: v4.Packet) -> None:
        for house in self.houses:
            await hear(house, selecting(offer, offer.chaddr))

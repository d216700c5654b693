"""Which address a client has in a subnet, derived from the lease rows alone; the index in etcd is never watched.

Law: of several rows of one client in one subnet the newest counts, and of two of the same transaction the bound one. An
offer does not count: it never touches the client's index in etcd. Nobody has no entry. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from everlease.core.lifecycle import BOUND, NOBODY, OFFERED, Row

LARGE, PARTS = 1 << 14, 64
"""More clients of one subnet than LARGE are divided among PARTS dicts: one of a million that grows moves all of them at
once, and held the loop for 100 ms."""


class _Clients:
    """Client key -> address in one subnet."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[dict[bytes, int]] = [{}]

    def around(self, client: bytes) -> dict[bytes, int]:
        """The dict in which this client is, or would be."""
        parts = self._parts
        if len(parts) > 1:
            return parts[hash(client) >> 40 & (PARTS - 1)]
        if len(parts[0]) < LARGE:
            return parts[0]
        self._parts = [{} for _ in range(PARTS)]
        for known, address in parts[0].items():
            self.around(known)[known] = address
        return self.around(client)


class ClientIndex:
    """Client key -> address, by subnet id. `rows` are the space's, already holding what is being told here."""

    __slots__ = ("_rivals", "_rows", "_subnets")

    def __init__(self, rows: Mapping[int, Row]) -> None:
        self._rows = rows
        self._subnets: dict[int, _Clients] = {}
        # Clients with more than one row in a subnet (they moved): few, until the sweeper has been.
        self._rivals: dict[tuple[int, bytes], set[int]] = {}

    def address_of(self, subnet: int, client: bytes) -> int:
        """The address that the client's index names; 0 = none."""
        clients = self._subnets.get(subnet)
        return clients.around(client).get(client, 0) if clients is not None else 0

    def _around(self, subnet: int, client: bytes) -> dict[bytes, int]:
        clients = self._subnets.get(subnet)
        if clients is None:
            clients = self._subnets[subnet] = _Clients()
        return clients.around(client)

    def correct(self, subnet: int, client: bytes, address: int) -> None:
        """What etcd itself says of the entry (0 = it does not exist), until a row tells something newer."""
        if address:
            self._around(subnet, client)[client] = address
        else:
            self._around(subnet, client).pop(client, None)

    def changed(self, address: int, old: Row | None, new: Row | None) -> None:
        """A row has been replaced."""
        if old is not None and not _same_claim(old, new):
            self._drop(address, old.subnet, old.client)
        if new is not None and new.state != OFFERED and new.client != NOBODY:
            self._claim(address, new.subnet, new.client)

    def _claim(self, address: int, subnet: int, client: bytes) -> None:
        current = self._around(subnet, client).setdefault(client, address)
        if current != address:
            rivals = self._rivals.setdefault((subnet, client), {current})
            rivals.add(address)
            self._elect(subnet, client, rivals)

    def _drop(self, address: int, subnet: int, client: bytes) -> None:
        rivals = self._rivals.get((subnet, client))
        if rivals is not None:
            rivals.discard(address)
            self._elect(subnet, client, rivals)
        elif self.address_of(subnet, client) == address:
            del self._around(subnet, client)[client]

    def _elect(self, subnet: int, client: bytes, rivals: set[int]) -> None:
        claims = {address: rank for address in rivals if (rank := self._rank(address, subnet, client))}
        if claims:
            self._around(subnet, client)[client] = max(claims, key=lambda address: (claims[address], -address))
        else:
            self._around(subnet, client).pop(client, None)
        if len(claims) > 1:
            self._rivals[subnet, client] = set(claims)
        else:
            self._rivals.pop((subnet, client), None)

    def _rank(self, address: int, subnet: int, client: bytes) -> tuple[int, bool] | None:
        row = self._rows.get(address)
        if row is None or row.state == OFFERED or row.subnet != subnet or row.client != client:
            return None
        return row.revision, row.state == BOUND


def _same_claim(old: Row, new: Row | None) -> bool:
    """Also an offer to the client that had the address before: its index entry in etcd is still there."""
    return new is not None and old.subnet == new.subnet and old.client == new.client

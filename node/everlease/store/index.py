"""Which address a client has in a subnet, derived from the lease rows alone; the index in etcd is never watched.

Law: of several rows of one client in one subnet the newest counts, and of two of the same transaction the bound one. An
offer does not count: it never touches the client's index in etcd. Nobody has no entry. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from everlease.core.lifecycle import BOUND, NOBODY, OFFERED, Row

_NOTHING: dict[bytes, int] = {}


class ClientIndex:
    """Client key -> address, by subnet id. `rows` is the space's table, already holding what is being told here."""

    __slots__ = ("_addresses", "_rivals", "_rows")

    def __init__(self, rows: Mapping[int, Row]) -> None:
        self._rows = rows
        self._addresses: dict[int, dict[bytes, int]] = {}
        # Clients with more than one row in a subnet (they moved): few, until the sweeper has been.
        self._rivals: dict[tuple[int, bytes], set[int]] = {}

    def address_of(self, subnet: int, client: bytes) -> int:
        """The address that the client's index names; 0 = none."""
        return self._addresses.get(subnet, _NOTHING).get(client, 0)

    def correct(self, subnet: int, client: bytes, address: int) -> None:
        """What etcd itself says of the entry (0 = it does not exist), until a row tells something newer."""
        if address:
            self._addresses.setdefault(subnet, {})[client] = address
        else:
            self._addresses.get(subnet, _NOTHING).pop(client, None)

    def changed(self, address: int, old: Row | None, new: Row | None) -> None:
        """A row has been replaced."""
        if old is not None and not _same_claim(old, new):
            self._drop(address, old.subnet, old.client)
        if new is not None and new.state != OFFERED and new.client != NOBODY:
            self._claim(address, new.subnet, new.client)

    def _claim(self, address: int, subnet: int, client: bytes) -> None:
        clients = self._addresses.get(subnet)
        if clients is None:
            clients = self._addresses[subnet] = {}
        current = clients.setdefault(client, address)
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
            del self._addresses[subnet][client]

    def _elect(self, subnet: int, client: bytes, rivals: set[int]) -> None:
        claims = {address: rank for address in rivals if (rank := self._rank(address, subnet, client))}
        if claims:
            self._addresses[subnet][client] = max(claims, key=lambda address: (claims[address], -address))
        else:
            self._addresses[subnet].pop(client, None)
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

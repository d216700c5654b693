"""What a node knew before etcd went back in time: addresses that may be somebody's, though no record says so.

Law: nothing is forgotten here; the restorer writes back what is missing, and lets go of it when every lease has ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from everlease.core.lifecycle import Row


class Ghosts(Mapping[tuple[str, int], Row]):
    """The rows of the view before a rollback, by (space, address); a second rollback keeps the first one's too."""

    def __init__(self, rows: Mapping[str, Mapping[int, Row]], older: Ghosts | None = None) -> None:
        self._rows = dict(rows)
        for space, known in older._rows.items() if older else ():
            self._rows[space] = {**known, **self._rows.get(space, {})}

    def __getitem__(self, key: tuple[str, int]) -> Row:
        return self._rows[key[0]][key[1]]

    def get(self, key: tuple[str, int], default: Row | None = None) -> Row | None:  # type: ignore[override]
        """The row that was there, or `default`."""
        return self._rows.get(key[0], {}).get(key[1], default)

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return ((space, address) for space, rows in self._rows.items() for address in rows)

    def __len__(self) -> int:
        return sum(len(rows) for rows in self._rows.values())

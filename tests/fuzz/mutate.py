"""A mutation fuzzer that a seed replays exactly: same seed, same corpus, same inputs.

It knows a little of the format (codes and lengths that matter), because a blind one rarely gets past the header.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random

LONGEST = 1600
# Codes that the parser treats by themselves, and lengths at the edges of what they may have.
TELLING = (0, 1, 2, 3, 4, 5, 43, 50, 51, 52, 53, 54, 57, 61, 63, 64, 81, 82, 118, 119, 127, 128, 191, 192, 254, 255)


def mutants(corpus: Sequence[bytes], seed: int) -> Iterator[bytes]:
    """Endless inputs, each a stored one changed in one to six places."""
    chance = Random(seed)
    while True:
        data = bytearray(chance.choice(corpus))
        for _ in range(chance.randint(1, 6)):
            chance.choice(_CHANGES)(data, chance, corpus)
        yield bytes(data[:LONGEST])


def _somewhere(data: bytearray, chance: Random) -> int:
    """A place, in one half of the cases among the options (behind octet 240)."""
    low = 240 if len(data) > 240 and chance.random() < 0.5 else 0
    return chance.randint(low, max(low, len(data)))


def _flip(data: bytearray, chance: Random, _: Sequence[bytes]) -> None:
    place = _somewhere(data, chance)
    if place < len(data):
        data[place] ^= 1 << chance.randrange(8)


def _set(data: bytearray, chance: Random, _: Sequence[bytes]) -> None:
    place = _somewhere(data, chance)
    if place < len(data):
        data[place] = chance.choice(TELLING)


def _insert(data: bytearray, chance: Random, _: Sequence[bytes]) -> None:
    place = _somewhere(data, chance)
    data[place:place] = chance.randbytes(chance.randint(1, 8))


def _insert_option(data: bytearray, chance: Random, _: Sequence[bytes]) -> None:
    place = _somewhere(data, chance)
    length = chance.choice((0, 1, 2, 4, chance.randrange(256)))
    value = bytes(chance.choice(TELLING) for _ in range(chance.choice((length, length, chance.randrange(32)))))
    data[place:place] = bytes((chance.choice(TELLING), length)) + value


def _overload(data: bytearray, chance: Random, _: Sequence[bytes]) -> None:
    if len(data) > 240:
        data[240:240] = bytes((52, 1, chance.randint(0, 4)))
        place = chance.choice((44, 108))
        option = bytes((chance.choice(TELLING), chance.choice(TELLING)))
        data[place : place + 2] = option


def _cut(data: bytearray, chance: Random, _: Sequence[bytes]) -> None:
    place = _somewhere(data, chance)
    del data[place : place + chance.randint(1, 16)]


def _truncate(data: bytearray, chance: Random, _: Sequence[bytes]) -> None:
    del data[_somewhere(data, chance) :]


def _repeat(data: bytearray, chance: Random, _: Sequence[bytes]) -> None:
    place = _somewhere(data, chance)
    data[place:place] = data[place : place + chance.randint(1, 64)] * chance.randint(1, 4)


def _splice(data: bytearray, chance: Random, corpus: Sequence[bytes]) -> None:
    data[_somewhere(data, chance) :] = chance.choice(corpus)[chance.randint(0, 300) :]


_CHANGES: tuple[Callable[[bytearray, Random, Sequence[bytes]], None], ...] = (
    _flip,
    _set,
    _insert,
    _insert_option,
    _overload,
    _cut,
    _truncate,
    _repeat,
    _splice,
)

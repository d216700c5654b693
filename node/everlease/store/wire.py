"""etcd's TxnRequest written as bytes, because building it from message objects takes three times as long.

Law: what is written here is byte for byte what protobuf writes for the same messages (tests/store/test_txn.py compares
them); field numbers are those of proto/everlease/etcd/v1/etcd.proto. Length-delimited fields are tag, length, body.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def varint(number: int) -> bytes:
    """A protobuf varint; negative numbers (int64) take ten bytes."""
    if number < 0:
        number += 1 << 64
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


_LENGTH = tuple(varint(number) for number in range(4096))
"""Almost every length here is below this; longer ones are computed."""


def _sized(body: bytes) -> bytes:
    size = len(body)
    return (_LENGTH[size] if size < 4096 else varint(size)) + body


def compare(key: bytes, expected: int | bytes) -> bytes:
    """TxnRequest.compare (1): the key's mod revision (0 = it does not exist) or value is equal to `expected`."""
    if type(expected) is int:
        body = b"\x10\x02\x1a" + _LENGTH[len(key)] + key + b"\x30" + varint(expected)
    else:
        body = b"\x10\x03\x1a" + _LENGTH[len(key)] + key + b"\x3a" + _sized(expected)  # type: ignore[arg-type]
    return b"\x0a" + _sized(body)


def version_above(key: bytes, version: int) -> bytes:
    """TxnRequest.compare (1): the key's version is greater than `version` (-1: also when it does not exist)."""
    return b"\x0a" + _sized(b"\x08\x01\x1a" + _sized(key) + b"\x20" + varint(version))


def version_below(key: bytes, version: int) -> bytes:
    """TxnRequest.compare (1): the key's version is less than `version`."""
    return b"\x0a" + _sized(b"\x08\x02\x1a" + _sized(key) + b"\x20" + varint(version))


def failure_get(key: bytes) -> bytes:
    """TxnRequest.failure (3): read one key."""
    return b"\x1a" + _sized(b"\x0a" + _sized(b"\x0a" + _sized(key)))


def _put(key: bytes, value: bytes) -> bytes:
    return b"\x12" + _sized(b"\x12" + _sized(b"\x0a" + _sized(key) + b"\x12" + _sized(value)))


def _delete(key: bytes) -> bytes:
    return b"\x12" + _sized(b"\x1a" + _sized(b"\x0a" + _sized(key)))


def nested(expect: Mapping[bytes, int | bytes], puts: Iterable[tuple[bytes, bytes]], deletes: Iterable[bytes]) -> bytes:
    """TxnRequest.success (2) that holds one nested transaction; its failure branch reads every compared key."""
    parts = [compare(key, expected) for key, expected in expect.items()]
    parts += [_put(key, value) for key, value in puts]
    parts += [_delete(key) for key in deletes]
    parts += [failure_get(key) for key in expect]
    return b"\x12" + _sized(b"\x22" + _sized(b"".join(parts)))

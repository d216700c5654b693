"""Packets stored as text: comment lines that start with `#`, then hex."""

from __future__ import annotations

from pathlib import Path

VECTORS = Path(__file__).parent / "vectors"


def read_hex(path: Path) -> bytes:
    lines = path.read_text().splitlines()
    return bytes.fromhex("".join(line for line in lines if not line.startswith("#")))


def vector(name: str) -> bytes:
    return read_hex(VECTORS / f"{name}.hex")

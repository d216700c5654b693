"""The page's files, read once from the package, and what a browser is told about them.

The law of this file: the page is whole as it comes from this node: no other host, no inline script or style, nothing
that another page may frame, and no text that becomes markup.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from importlib.resources import files
from typing import Final

from everlease.health import Page

_KINDS: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_POLICY: Final = "; ".join(
    (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'",
        "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
        "require-trusted-types-for 'script'", "trusted-types 'none'",
    )
)  # fmt: skip
GUARDS: Final = (
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)
"""On every answer of the console."""

_SLICE: Final = 32_768


class Assets:
    """`page(name)` of a file in `static/`."""

    def __init__(self) -> None:
        folder = files("everlease.console") / "static"
        self._found = {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}

    def page(self, name: str) -> Page | None:
        """None for a name that is no file of the page; paths do not exist here."""
        data = self._found.get(name)
        if data is None:
            return None
        return Page(HTTPStatus.OK, _slices(data), _KINDS[name.rpartition(".")[2]], GUARDS)


def _slices(data: bytes) -> Iterable[bytes]:
    return (data[start : start + _SLICE] for start in range(0, len(data), _SLICE))

"""Who may look for a lease on a port without TLS: somebody on this very host.

The law of this file: client identifiers leave this port only over loopback, only to a page of this port, and only to
whom the admin API would let read leases. Where that asks for credentials so does this: a token, which then never leaves
the host; a certificate has no place on a connection without TLS.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Final

from everlease.health import Request

_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})

NOT_LOCAL: Final = "a lease is shown only to who is on the node's own host: ssh -L 9167:127.0.0.1:9167 NODE, then http://127.0.0.1:9167/"
NOT_ITSELF: Final = "a lease is shown only under the names localhost, 127.0.0.1 and [::1], and not through a proxy"
GUARDED: Final = "the admin API asks for credentials: give a token of the role viewer, or use `everlease lease show`"

MayView = Callable[[Sequence[str]], bool]
"""Whether somebody on this host may read leases; its argument: values of `authorization`."""


def refusal(request: Request, may_view: MayView) -> str:
    """Why this client may not look for leases; "" = it may."""
    if not _is_loopback(request.peer):
        return NOT_LOCAL
    # A page from elsewhere whose name leads to 127.0.0.1 (DNS rebinding) sends that name; a proxy says so, mostly.
    if _host(request) not in _NAMES or any(name in request.headers for name in _FORWARDED):
        return NOT_ITSELF
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return NOT_ITSELF
    shown = request.headers.get("authorization")
    return "" if may_view([shown] if shown else []) else GUARDED


def _host(request: Request) -> str:
    host = request.headers.get("host", "")
    return host[1 : host.find("]")] if host.startswith("[") else host.partition(":")[0]


def _is_loopback(peer: str) -> bool:
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback

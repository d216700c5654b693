"""The four-way exchange and its near relations, from a client's point of view."""

from __future__ import annotations

from core.world import ip, message, world
from everlease.wire import v4


def test_discover_offer_request_ack() -> None:
    node = world()
    offered = node.answer(message(v4.DISCOVER))
    assert isinstance(offered, v4.Packet)
    assert offered.message_type == v4.OFFER
    assert ip("10.77.16.0") <= offered.yiaddr <= ip("10.77.31.255")
    granted = node.answer(message(v4.REQUEST, options={50: offered.yiaddr.to_bytes(4, "big"), 54: offered.options[54]}))
    assert isinstance(granted, v4.Packet)
    assert (granted.message_type, granted.yiaddr) == (v4.ACK, offered.yiaddr)
    assert granted.options[51] == (3600).to_bytes(4, "big")
    assert node.truth.leases["default", granted.yiaddr][0].client == b"\x02\x01" + message(v4.DISCOVER).chaddr

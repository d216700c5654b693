"""The interleavings that broke the first draft of the design, with real processes; `core` has the pure ones."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from itertools import count

import pytest

from cluster.audit import Records, torn
from everlease.core.lifecycle import BOUND, RELEASED
from everlease.lab.etcd import EtcdCluster
from everlease.lab.netns import Lab
from everlease.store.api import Unavailable
from everlease.store.etcd import EtcdStore
from everlease.store.keys import Keys
from everlease.store.records import decode_lease
from everlease.wire import v4
from lab.capture import Captured
from lab.packet_client import PacketClient, PacketRelay, ipv4
from lab.site import Site
from store.makers import ALICE, BOB, grant, release, renew, request

pytestmark = [pytest.mark.root, pytest.mark.etcd]

A = ipv4("10.77.20.9")
SECOND = 2.0


@pytest.mark.parametrize("frozen", ["leader", "follower"])
async def test_a_frozen_member_changes_nothing_by_an_old_batch_after_the_address_was_released(
    start_etcd: Callable[..., EtcdCluster], frozen: str
) -> None:
    cluster = start_etcd(3)
    keys = Keys()
    leader = cluster.leader()
    number = leader if frozen == "leader" else (leader + 1) % 3
    there = EtcdStore([cluster.members[number].endpoint])
    others = EtcdStore([each.endpoint for place, each in enumerate(cluster.members) if place != number])
    granted = await there.batch(request(keys, grant(A, ALICE)), SECOND)  # and it is connected
    cluster.pause(number)
    late = asyncio.create_task(there.batch(request(keys, renew(A, ALICE, granted.revision)), 30.0))
    await asyncio.sleep(0.2)  # the batch lies in the frozen member's socket
    released = await until_answered(others, request(keys, release(A, ALICE, granted.revision)))
    given = await until_answered(others, request(keys, grant(A, BOB, released)))
    assert not late.done()
    cluster.resume(number)
    with contextlib.suppress(Unavailable):  # it may say that it does not know
        assert not (await late).results[0].succeeded
    page = await others.get_range(*keys.lease_range("default", A, A))
    record = page.records[0]
    assert (record.revision, decode_lease(record.value or b"").client) == (given, BOB)
    await there.close()
    await others.close()


async def until_answered(store: EtcdStore, batch: bytes) -> int:
    """Send one change until a member answers (an election may be on); the revision at which it was committed."""
    for _ in range(20):
        try:
            result = await store.batch(batch, 1.0)
        except Unavailable:
            await asyncio.sleep(0.1)
            continue
        leaf = result.results[0]
        if leaf.succeeded:
            return result.revision
        assert leaf.found[0].value in batch  # an earlier try of ours, whose answer was lost
        return leaf.found[0].revision
    raise AssertionError("no member answered")


def selecting(number: int, address: int, server: str) -> v4.Packet:
    """A REQUEST of client `number` for an address, naming a server."""
    options = {53: bytes([v4.REQUEST]), 50: address.to_bytes(4, "big"), 54: ipv4(server).to_bytes(4, "big")}
    mac = b"\x02\xee" + number.to_bytes(4, "big")
    return v4.Packet(xid=number, chaddr=mac, hlen=6, flags=v4.BROADCAST_FLAG, options=options)


@pytest.mark.parametrize("servers", [("10.77.0.2", "10.77.0.3"), ("10.77.0.2", "10.77.0.2")], ids=["two", "one"])
def test_of_two_clients_that_want_one_address_at_one_moment_exactly_one_gets_it(
    lab: Lab, servers: tuple[str, str]
) -> None:
    site = Site(lab).start()
    place = site.client("relay", address="10.77.9.9/16")
    relays = [PacketRelay(place, "10.77.9.9", servers[0])]
    lab.on_close(relays[0].close)
    addresses = range(A, A + 60)
    numbers = count(1)
    for address in addresses:
        for server in servers:
            relays[0].servers = (server,)
            relays[0].send(selecting(next(numbers), address, server))
    replies = wait_replies(relays[0], 2 * len(addresses))
    given = [reply.packet.yiaddr for reply in replies if reply.packet and reply.kind == "ACK"]
    assert sorted(given) == list(addresses)
    assert sum(reply.kind == "NAK" for reply in replies) == len(addresses)
    records = Records(site.etcd)
    assert {address: lease.hardware for address, lease in records.bound().items()} == {
        reply.packet.yiaddr: reply.packet.chaddr for reply in replies if reply.packet and reply.kind == "ACK"
    }
    assert torn(records) == []


def wait_replies(relay: PacketRelay, wanted: int) -> list[Captured]:
    """So many replies, one for each transaction."""
    seen: dict[int, Captured] = {}

    def enough(captured: Captured) -> bool:
        if not captured.sent and captured.packet is not None and captured.packet.op == v4.BOOTREPLY:
            seen.setdefault(captured.packet.xid, captured)
        return len(seen) >= wanted

    relay.capture.wait(enough, 10)
    return list(seen.values())


def test_an_address_reserved_while_a_node_still_has_the_old_configuration_goes_to_nobody_else(lab: Lab) -> None:
    site = Site(lab).start()
    owner = PacketClient(site.client("owner"), mac="02:00:00:00:00:01")
    stranger = PacketClient(site.client("stranger"), mac="02:00:00:00:00:02")
    lab.on_close(owner.close)
    lab.on_close(stranger.close)
    held = site.nodes[1:]
    for node in held:
        node.pause()
    kept = f"    reservations: [{{hw-address: '{owner.mac.hex(':')}', address: 10.77.20.9}}]\n"
    changed = lab.folder / "changed.yaml"
    changed.write_text(site.simple() + kept)
    site.nodes[0].cli("config", "apply", str(changed))
    wanted = {50: A.to_bytes(4, "big"), 54: ipv4("10.77.0.3").to_bytes(4, "big")}
    stranger.send(stranger.message(v4.REQUEST, wanted))  # waits in the sockets of those that know of no reservation
    for node in held:
        node.resume()
    for _ in range(3):
        replies = stranger.ask_all(stranger.message(v4.REQUEST, wanted), within=1.0)
        assert all(reply.kind == "NAK" for reply in replies)
    record = Records(site.etcd).leases.get(A)
    assert record is None or record.state not in (BOUND, RELEASED)
    ack = owner.obtain()
    assert ack.packet is not None
    assert ack.packet.yiaddr == A

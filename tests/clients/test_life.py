"""Five clients at once, one of them behind a relay: they get, renew, rebind and release, and the packets agree.

Law: the story is told once, for all of them together, because most of it is waiting; each test looks at one client.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from clients.exchanges import Exchange, exchanges, key_of, last_ack, option, packet_of
from clients.office import LIFETIME, Office
from cluster.audit import Records, torn
from everlease.core.lifecycle import BOUND, RELEASED, Lease
from everlease.lab.netns import Lab
from everlease.runtime.candidates import OVERLAP
from lab.capture import Captured
from lab.clients import Client, Dhclient, Dhcpcd, Networkd, Udhcpc
from lab.packet_client import PacketClient, ipv4

pytestmark = [pytest.mark.root, pytest.mark.etcd]

CAST: dict[str, tuple[type[Client], str]] = {
    "dhclient": (Dhclient, "office"),
    "udhcpc": (Udhcpc, "office"),
    "dhcpcd": (Dhcpcd, "office"),
    "networkd": (Networkd, "office"),
    "relayed": (Dhcpcd, "floor"),
}

each_client = pytest.mark.parametrize("name", CAST)


@dataclass(slots=True)
class Life:
    """One client's story. records: its address's at the end of each chapter; marks: packets seen by then."""

    client: Client
    link: str
    address: str = ""
    records: dict[str, Lease | None] = field(default_factory=dict)
    acks: dict[str, Captured] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)


class Story:
    """What happens to all of them, chapter by chapter."""

    def __init__(self, office: Office, lab: Lab) -> None:
        self.office = office
        self.lives: dict[str, Life] = {}
        for name, (kind, link) in CAST.items():
            self.lives[name] = Life(kind(lab, office.plug(lab, name, link)), link)

    def tell(self) -> None:
        """All of it."""
        self.get()
        self.renew()
        self.rebind()
        self.release()

    def get(self) -> None:
        """Everybody starts at the same moment."""
        for life in self.lives.values():
            life.client.start()
        for life in self.lives.values():
            life.address = life.client.wait_bound()
            life.acks["bound"] = last_ack(life.client)
        self._close("bound")

    def renew(self) -> None:
        """At T1; udhcpc, which knows no T1 but half of the lease, is asked to."""
        for life in self.lives.values():
            if isinstance(life.client, Udhcpc):
                life.client.renew()
        for life in self.lives.values():
            life.acks["renewed"] = life.client.wait_renewed(40, life.marks["bound"])
        self._close("renewed")

    def rebind(self) -> None:
        """What they send to their own server gets lost; at T2 they ask everybody."""
        for name, life in self.lives.items():
            self.office.link(life.link).lose_unicast(name)
            if isinstance(life.client, Udhcpc):
                life.client.renew()
        for life in self.lives.values():
            life.acks["rebound"] = life.client.wait_rebound(60, life.marks["renewed"])
        self._close("rebound")
        for name, life in self.lives.items():
            switch = self.office.link(life.link)
            switch.deliver(switch.ports[name])

    def release(self) -> None:
        """They leave."""
        for life in self.lives.values():
            assert life.client.address() == life.address
            life.client.release()
        for life in self.lives.values():
            life.client.wait_unbound()
            self.office.wait_state(life.address, RELEASED)
        self._close("released")

    def _close(self, chapter: str) -> None:
        records = Records(self.office.site.etcd)
        assert torn(records) == []
        for life in self.lives.values():
            life.marks[chapter] = len(life.client.capture.packets)
            life.records[chapter] = records.leases.get(ipv4(life.address))


@pytest.fixture(scope="module")
def story(office: Office, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The whole story, told. The nodes have heard the relay before: until then each of them answers it."""
    with Lab(tmp_path_factory.mktemp("lives")) as lab:
        stranger = PacketClient(office.plug(lab, "stranger", "floor"))
        lab.on_close(stranger.close)
        stranger.discover()
        time.sleep(OVERLAP)  # so long they go on to do so
        told = Story(office, lab)
        told.tell()
        yield told


@each_client
def test_a_client_is_bound_by_one_offer_and_one_ack_from_the_same_server(story: Story, name: str) -> None:
    life = story.lives[name]
    discovers, requests = exchanges(life.client, "DISCOVER"), exchanges(life.client, "REQUEST")
    assert [each.kinds for each in discovers] == [["OFFER"]], "\n".join(map(str, discovers))
    offer, ack = discovers[0].replies[0], life.acks["bound"]
    assert option(requests[0].asked, 54) == offer.server == ack.server
    assert packet_of(offer).yiaddr == packet_of(ack).yiaddr == ipv4(life.address)
    assert requests[0].replies == [ack]
    assert (option(ack, 51), option(ack, 58), option(ack, 59)) == (LIFETIME, 12, 24)


@each_client
def test_what_a_client_was_promised_is_recorded_as_its_own(story: Story, name: str) -> None:
    life = story.lives[name]
    lease, ack = life.records["bound"], life.acks["bound"]
    assert lease is not None
    assert lease.state == BOUND
    assert lease.client == key_of(life.client)
    assert lease.hardware == packet_of(ack).chaddr
    assert lease.valid == LIFETIME
    assert lease.expires_at >= ack.time + LIFETIME


@each_client
def test_a_renewal_goes_to_the_server_that_leased_and_is_answered_by_it(story: Story, name: str) -> None:
    life = story.lives[name]
    ack, bound = life.acks["renewed"], life.records["bound"]
    renewal = next(each for each in exchanges(life.client, "REQUEST") if ack in each.replies)
    assert renewal.by_unicast
    assert renewal.asked.destination == life.acks["bound"].server == ack.server == ack.source
    assert renewal.replies == [ack], str(renewal)
    lease = life.records["renewed"]
    assert lease is not None
    assert bound is not None
    assert lease.expires_at > bound.expires_at
    assert lease.expires_at >= ack.time + LIFETIME


@each_client
def test_a_client_whose_server_hears_nothing_rebinds_and_all_answers_agree(story: Story, name: str) -> None:
    life = story.lives[name]
    ack = life.acks["rebound"]
    asked = [each for each in exchanges(life.client, "REQUEST", life.marks["renewed"]) if not each.by_unicast]
    assert [promises(each) for each in asked] == [{("ACK", ipv4(life.address), LIFETIME)}], "\n".join(map(str, asked))
    assert 54 not in asked[0].message.options
    lease = life.records["rebound"]
    assert lease is not None
    assert lease.expires_at >= ack.time + LIFETIME


@each_client
def test_a_client_needs_no_second_discover_and_never_sees_a_nak(story: Story, name: str) -> None:
    client = story.lives[name].client
    assert len(client.sent("DISCOVER")) == 1
    assert client.received("NAK") == []
    lost = [each for each in exchanges(client, "REQUEST") if not each.replies]
    assert all(each.by_unicast for each in lost), "\n".join(map(str, lost))
    assert [str(each) for each in exchanges(client, "REQUEST") if len(promises(each)) > 1] == []


def promises(exchange: Exchange) -> set[tuple[str, int, int]]:
    """What the answers to one message promise. On a busy machine two nodes may answer, with the same (I7)."""
    return {(each.kind, packet_of(each).yiaddr, option(each, 51)) for each in exchange.replies}


@each_client
def test_a_release_frees_the_address_and_the_record_remembers_whose_it_was(story: Story, name: str) -> None:
    life = story.lives[name]
    lease = life.records["released"]
    assert lease is not None
    assert lease.state == RELEASED
    assert lease.client == key_of(life.client)
    sent = life.client.sent("RELEASE")
    assert len(sent) == 1
    assert option(sent[0], 54) in (sent[0].destination, -1)  # systemd-networkd leaves it out
    assert lease.expires_at <= sent[0].time + 2


@each_client
def test_options_come_in_the_order_in_which_they_were_asked_for(story: Story, name: str) -> None:
    life = story.lives[name]
    asked = list(exchanges(life.client, "REQUEST")[0].message.options[55])
    told = [code for code in packet_of(life.acks["bound"]).options if code in asked and code not in (51, 54, 58, 59)]
    assert told == [code for code in asked if code in told]
    assert {1, 3, 6, 15} & set(asked) <= set(told)


def test_a_client_behind_a_relay_is_recorded_with_it(story: Story) -> None:
    lease = story.lives["relayed"].records["bound"]
    assert lease is not None
    assert lease.giaddr == ipv4("10.91.0.1")
    assert lease.relay
    assert lease.subnet == 91

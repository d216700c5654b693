"""Real clients while the service is broken: whoever has an address keeps it, whoever needs one gets it as promised.

Law: residents were bound before the fault, newcomers are switched on while it lasts. T1 and T2 come early, so that each
resident asks for its address again before the fault is healed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from clients.exchanges import Exchange, exchanges, last_ack, option, packet_of
from cluster.audit import Records, torn
from cluster.crowd import Crowd
from everlease.lab.netns import Lab
from everlease.lab.processes import wait_until
from everlease.wire import v4
from faults.inject import disk, network, process
from faults.stage import BOUNDS, HOSTS, Stage
from lab.clients import ALL, Client, Udhcpc
from lab.packet_client import PacketClient, ipv4

pytestmark = [pytest.mark.root, pytest.mark.etcd]

LIFETIME, T1, T2 = 180, 12, 24
SETTLED = BOUNDS["default"]
NO_QUORUM = 60.0

DOCUMENT = f"""schema: 1
valid-lifetime: {LIFETIME}s
renew-time: {T1}s
rebind-time: {T2}s
subnets:
  - id: 1
    prefix: 10.77.0.0/16
    link: office
    pools: [{{range: 10.77.16.0-10.77.255.250}}]
"""


class Team:
    """One of each client, each in a namespace of its own on the office link."""

    def __init__(self, stage: Stage, lab: Lab, name: str) -> None:
        self.clients: list[Client] = []
        self.marks: dict[Client, int] = {}
        for kind in ALL:
            namespace = lab.namespace(f"{name}-{kind.__name__.lower()}")
            stage.links["office"].connect(namespace, "eth0")
            self.clients.append(kind(lab, namespace))

    def start(self) -> None:
        """All at the same moment."""
        for client in self.clients:
            client.start()

    def wait_bound(self, timeout: float = 30.0) -> list[str]:
        """Their addresses, when all have one."""
        return [client.wait_bound(timeout) for client in self.clients]

    def addresses(self) -> list[str | None]:
        """What their kernels have just now."""
        return [client.address() for client in self.clients]

    def mark(self) -> None:
        """What they ask from now on is what counts."""
        self.marks = {client: len(client.capture.packets) for client in self.clients}

    def wait_extended(self, timeout: float) -> None:
        """Wait until each, since the mark, was told that the address stays its own; udhcpc asks when it is told to."""
        for client in self.clients:
            if isinstance(client, Udhcpc):
                client.renew()
        for client in self.clients:
            wait_until(lambda c=client: any(map(_acked, self.asked(c))), timeout, f"{client.program}'s lease extended")

    def asked(self, client: Client) -> list[Exchange]:
        """Its renewals and rebindings since the mark."""
        return [each for each in exchanges(client, "REQUEST", self.marks[client]) if each.message.ciaddr]

    def unanswered(self) -> list[str]:
        """Renewals and rebindings, since the mark, that got no ACK."""
        return [str(each) for client in self.clients for each in self.asked(client) if not _acked(each)]

    def discovers(self) -> list[int]:
        """How many each of them needed."""
        return [len(client.sent("DISCOVER")) for client in self.clients]

    def refused(self) -> list[str]:
        """Whoever saw a NAK."""
        return [client.program for client in self.clients if client.received("NAK")]

    def favourite(self) -> int:
        """The number of the host that leased to most of them."""
        ((server, _),) = Counter(last_ack(client).server for client in self.clients).most_common(1)
        return server - ipv4("10.77.0.2")


def _acked(exchange: Exchange) -> bool:
    return "ACK" in exchange.kinds


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Three hosts that serve; every test breaks something and heals it."""
    with Lab(tmp_path_factory.mktemp("broken")) as laboratory:
        stage = Stage(laboratory)
        stage.start(DOCUMENT)
        yield stage


@pytest.fixture
def residents(broken: Stage, lab: Lab) -> Team:
    """Bound while everything was in order."""
    process.wait_serving(broken, 60)
    broken.wait_agreed(60)
    team = Team(broken, lab, "r")
    team.start()
    team.wait_bound()
    team.mark()
    return team


def recorded(stage: Stage, addresses: list[str]) -> list[str]:
    """Those of the addresses that etcd holds as bound; everything else in it must agree, too."""
    records = Records(stage.etcd)
    assert torn(records) == []
    bound = records.bound()
    return [address for address in addresses if ipv4(address) in bound]


def test_a_leader_whose_disk_freezes_costs_no_real_client_a_second_question(
    broken: Stage, lab: Lab, residents: Team
) -> None:
    held, newcomers = residents.wait_bound(), Team(broken, lab, "n")
    with disk.frozen(broken, broken.etcd.leader()):
        time.sleep(SETTLED)
        residents.mark()
        newcomers.start()
        new = newcomers.wait_bound()
        residents.wait_extended(T1 + 10)
    assert newcomers.discovers() == [1] * len(ALL)
    assert residents.addresses() == held
    assert residents.unanswered() == newcomers.refused() == residents.refused() == []
    assert recorded(broken, held + new) == held + new


@pytest.mark.slow
def test_clients_of_a_node_that_stands_still_rebind_to_another_and_newcomers_do_not_notice(
    broken: Stage, lab: Lab, residents: Team
) -> None:
    held, newcomers, still = residents.wait_bound(), Team(broken, lab, "n"), residents.favourite()
    theirs = [client for client in residents.clients if last_ack(client).source == ipv4(f"10.77.0.{still + 2}")]
    with process.node_stopped(broken, still):
        time.sleep(SETTLED)
        residents.mark()
        newcomers.start()
        new = newcomers.wait_bound()
        residents.wait_extended(T2 + 40)
    assert newcomers.discovers() == [1] * len(ALL)
    assert theirs != []
    assert {last_ack(client).source for client in theirs}.isdisjoint({ipv4(f"10.77.0.{still + 2}")})
    assert residents.addresses() == held
    assert newcomers.refused() == residents.refused() == []
    assert recorded(broken, held + new) == held + new


@pytest.mark.slow
def test_a_mute_node_costs_newcomers_one_retransmission_and_its_own_clients_rebind_to_another(
    broken: Stage, lab: Lab, residents: Team
) -> None:
    held, newcomers, mute = residents.wait_bound(), Team(broken, lab, "n"), residents.favourite()
    others = Crowd(PacketClient(broken.client("others")), 24)
    with network.clients_side_mute(broken, mute):
        residents.mark()
        newcomers.start()
        others.boot(within=5.0)  # who else asks on the link; takeovers from them tell everybody of the mute node
        others.run(others.all_bound, 60)
        new = newcomers.wait_bound()
        residents.wait_extended(T2 + 40)
    assert max(newcomers.discovers()) <= 2
    assert residents.addresses() == held
    assert newcomers.refused() == residents.refused() == []
    assert recorded(broken, held + new) == held + new


def promised_too_far(team: Team, committed: Records) -> list[str]:
    """Extensions since the mark that reach beyond what was committed for the address (I4), a second forgiven."""
    return [
        str(reply)
        for client in team.clients
        for each in team.asked(client)
        for reply in each.replies
        if reply.time + option(reply, 51) > committed.leases[packet_of(reply).yiaddr].expires_at + 1
    ]


@pytest.mark.slow
def test_without_a_quorum_short_leases_are_extended_as_far_as_committed_and_nobody_gets_a_new_one(
    broken: Stage, lab: Lab, residents: Team
) -> None:
    held, newcomers, committed = residents.wait_bound(), Team(broken, lab, "n"), Records(broken.etcd)
    with ExitStack() as lost:
        for number in range(1, HOSTS):
            lost.enter_context(process.member_killed(broken, number))
        over = time.monotonic() + NO_QUORUM
        residents.mark()
        newcomers.start()
        while time.monotonic() < over:
            residents.wait_extended(T1 + 10)
            assert promised_too_far(residents, committed) == []
            residents.mark()
        assert residents.addresses() == held
        assert newcomers.addresses() == [None] * len(ALL)
    back = PacketClient(broken.client("back"))
    wait_until(lambda: back.ask_all(back.message(v4.DISCOVER)), 10, "an OFFER after the quorum is back")
    new = newcomers.wait_bound(120)
    assert residents.addresses() == held
    assert newcomers.refused() == residents.refused() == []
    assert recorded(broken, held + new) == held + new

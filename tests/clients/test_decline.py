"""A client that finds its address in use says so, and the address is nobody's for the time of its probation.

dhclient leaves the looking to its script, and systemd-networkd (252) fails to send its DECLINE, "Network is
unreachable": for clients like these there is ping-check.
"""

from __future__ import annotations

import pytest

from clients.exchanges import key_of, option
from clients.office import Office
from everlease.core.lifecycle import BOUND, DECLINED, RELEASED
from everlease.lab.netns import Lab
from everlease.lab.processes import wait_until
from lab.clients import Client, Dhcpcd, Udhcpc
from lab.packet_client import ipv4

pytestmark = [pytest.mark.root, pytest.mark.etcd]

A_DAY = 24 * 3600


def test_an_address_that_a_client_finds_in_use_is_on_probation_and_the_client_gets_another(
    office: Office, lab: Lab
) -> None:
    kinds = {"dhcpcd": Dhcpcd, "udhcpc": Udhcpc}
    clients: list[Client] = [kind(lab, office.plug(lab, name)) for name, kind in kinds.items()]
    for client in clients:
        client.start()
    first = {client: client.wait_bound() for client in clients}
    for client in clients:
        client.release()
        office.wait_state(first[client], RELEASED)
        client.kill()
    squatter = office.plug(lab, "squatter")
    for address in first.values():
        squatter.ip("address", "add", f"{address}/32", "dev", "eth0")
    for client in clients:
        probing(client)
        client.start()
    for client in clients:
        taken = first[client]
        another = wait_until(lambda client=client: settled(client, first[client]), 60, f"{client.program} has another")
        decline = client.sent("DECLINE")[0]
        assert option(decline, 50) == ipv4(taken)
        parked = office.wait_state(taken, DECLINED)
        assert parked.client == key_of(client)
        assert parked.expires_at >= decline.time + A_DAY - 1
        assert office.wait_state(another, BOUND).client == key_of(client)


def probing(client: Client) -> None:
    """From its next start on it looks whether an address is in use before it takes it."""
    if isinstance(client, Dhcpcd):
        client.settings = client.settings.replace("noarp\n", "")
    elif isinstance(client, Udhcpc):
        client.flags = ("-a",)


def settled(client: Client, taken: str) -> str | None:
    """An address that is not the one which was in use."""
    address = client.address()
    return address if address != taken else None

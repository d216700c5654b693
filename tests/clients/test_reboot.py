"""A client that comes back after its machine stopped asks for what it had (INIT-REBOOT), and keeps it."""

from __future__ import annotations

import pytest

from clients.exchanges import exchanges
from clients.office import Office
from everlease.core.lifecycle import BOUND
from everlease.lab.netns import Lab
from lab.capture import Captured
from lab.clients import Client, Dhclient, Dhcpcd, Networkd
from lab.packet_client import ipv4

pytestmark = [pytest.mark.root, pytest.mark.etcd]


def test_clients_that_start_again_keep_their_addresses_without_a_discover(office: Office, lab: Lab) -> None:
    kinds = {"dhclient": Dhclient, "dhcpcd": Dhcpcd, "networkd": Networkd}
    clients: list[Client] = [kind(lab, office.plug(lab, name)) for name, kind in kinds.items()]
    for client in clients:
        client.start()
    held = {client: client.wait_bound() for client in clients}
    marks = {client: len(client.capture.packets) for client in clients}
    for client in clients:
        if isinstance(client, Networkd):  # it keeps no lease on disk, but asks again when its carrier was gone
            client.renew()
        else:
            client.kill()
            client.start()
    for client in clients:
        client.capture.wait(_is_ack, 20, marks[client])
        assert client.wait_bound() == held[client]
        asked = exchanges(client, "REQUEST", marks[client])
        assert [each.kinds for each in asked] == [["ACK"]], "\n".join(map(str, asked))
        request = asked[0].message
        assert (request.ciaddr, 54 in request.options) == (0, False)
        assert int.from_bytes(request.options[50], "big") == ipv4(held[client])
        assert len(client.sent("DISCOVER")) == 1
        assert office.wait_state(held[client], BOUND).expires_at >= asked[0].replies[0].time


def _is_ack(captured: Captured) -> bool:
    return not captured.sent and captured.kind == "ACK"

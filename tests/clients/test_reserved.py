"""A reserved address is its client's, and nobody else's: not while it is away, and not for the asking."""

from __future__ import annotations

import pytest

from clients.exchanges import exchanges, last_ack, packet_of
from clients.office import PRINTER, PRINTERS_ADDRESS, Office
from everlease.core.lifecycle import BOUND, RELEASED
from everlease.lab.netns import Lab
from lab.clients import Dhclient, Udhcpc
from lab.packet_client import PacketClient, ipv4

pytestmark = [pytest.mark.root, pytest.mark.etcd]


def test_a_reserved_client_gets_its_address_and_name_and_a_second_client_never_does(office: Office, lab: Lab) -> None:
    second = Udhcpc(lab, office.plug(lab, "second"))
    second.flags = ("-r", PRINTERS_ADDRESS)
    assert second.obtain() != PRINTERS_ADDRESS

    printer = Dhclient(lab, office.plug(lab, "printer", mac=PRINTER))
    assert printer.obtain() == PRINTERS_ADDRESS
    assert packet_of(last_ack(printer)).options[12] == b"printer"
    assert 'option host-name "printer";' in (printer.folder / "leases").read_text()
    assert office.wait_state(PRINTERS_ADDRESS, BOUND).hardware.hex(":") == PRINTER

    printer.release()
    office.wait_state(PRINTERS_ADDRESS, RELEASED)
    third = Udhcpc(lab, office.plug(lab, "third"))
    third.flags = ("-r", PRINTERS_ADDRESS)
    assert third.obtain() != PRINTERS_ADDRESS
    stranger = PacketClient(office.plug(lab, "stranger"))
    lab.on_close(stranger.close)
    assert stranger.reboot(PRINTERS_ADDRESS).kind == "NAK"

    printer.start()
    assert printer.wait_bound() == PRINTERS_ADDRESS
    for other in (second, third):
        given = [packet_of(reply).yiaddr for each in exchanges(other, "REQUEST") for reply in each.replies]
        assert ipv4(PRINTERS_ADDRESS) not in given

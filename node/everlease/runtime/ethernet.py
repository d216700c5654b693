"""DHCP over Ethernet frames: for clients that have no address yet, and so no ARP (RFC 2131 section 4.1).

Law: a frame is read only if it was sent to this host or to all, untagged, unfragmented, and its checksums are right,
or honestly unfinished: clients on veth and virtio leave the checksum to hardware that is not there. What we send has
every checksum. Only broadcasts come in here; `bpf.for_raw` leaves unicast to the link's UDP socket.
"""

from __future__ import annotations

import contextlib
import socket
from struct import Struct
from typing import Final

from everlease.runtime import bpf
from everlease.runtime.interfaces import InterfaceInfo
from everlease.runtime.overflow import dropped_by_packet_socket
from everlease.runtime.sockets import (
    LARGEST,
    SO_TIMESTAMPNS,
    Datagram,
    ReceiveClock,
    count_unsent,
    opening,
    prepare,
)
from everlease.runtime.udp import UdpEndpoint

BROADCAST_HARDWARE: Final = b"\xff" * 6

_ETH_P_IP: Final = 0x0800
_ETH_P_ARP: Final = 0x0806
_SOL_PACKET: Final = 263
_PACKET_AUXDATA: Final = 8
_PACKET_IGNORE_OUTGOING: Final = 23
_CSUM_NOT_READY: Final = 0x08  # TP_STATUS_CSUMNOTREADY
_VLAN_VALID: Final = 0x10  # TP_STATUS_VLAN_VALID
_CSUM_VALID: Final = 0x80  # TP_STATUS_CSUM_VALID
_VLAN_ID: Final = 0x0FFF
_AUXDATA: Final = Struct("IIIHHHH")  # status, length, captured, MAC offset, IP offset, VLAN TCI, VLAN protocol
_TIMESPEC_SIZE: Final = 16
_ANCILLARY: Final = socket.CMSG_SPACE(_AUXDATA.size) + socket.CMSG_SPACE(_TIMESPEC_SIZE)

_ETHERNET: Final = 14
_UDP: Final = 8
_SHORTEST: Final = _ETHERNET + 20 + _UDP
_IP_FIELDS: Final = Struct("!B x H 5x B 2x I I")  # version and length, total, protocol, source, destination
_UDP_FIELDS: Final = Struct("!HHHH")  # source port, destination port, length, checksum
# destination, source, type | version, service, total, id, fragment, ttl, protocol, checksum, source, destination | UDP
_FRAME: Final = Struct("!6s6sH BBHHHBBHII HHHH")
_LOW_DELAY: Final = 0x10  # type of service that other DHCP servers send, too
_DO_NOT_FRAGMENT: Final = 0x4000
_TTL: Final = 64
# destination, source, type | hardware type, protocol, their lengths, operation | sender's and target's MAC and address
_ARP: Final = Struct("!6s6sH HHBBH 6sI 6sI")
_ARP_REQUEST: Final = 1


class LinkEndpoint:
    """The raw socket of one interface. See `sockets.Endpoint` for its face, `links.Link` for who owns it."""

    def __init__(self, label: str, info: InterfaceInfo, udp: UdpEndpoint) -> None:
        self.label: str | None = label
        self._tally = udp.tally
        self.dropped = udp.dropped
        self.unsent = udp.unsent
        self._clock = ReceiveClock()
        with opening(f"interface {info.name}"):
            self._socket = _open(info)
        self._udp = udp
        udp.frames = self
        self.learn(info)

    def learn(self, info: InterfaceInfo) -> None:
        """Take over what changed about the interface: addresses, MTU, MAC; and what the kernel lets through."""
        self.interface = info.addresses
        self.addresses = frozenset(address for address, _ in info.addresses)
        self.address = info.addresses[0][0] if info.addresses else 0
        self.mtu = info.mtu
        self.index = info.index
        self._mac = info.mac
        # That the interface was down is remembered as an error, and loops give up a socket that has one.
        self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        bpf.attach(self._socket, bpf.for_raw(info.broadcasts))

    def fileno(self) -> int:
        """For `loop.add_reader`."""
        return self._socket.fileno()

    def receive(self, limit: int = 64) -> list[Datagram]:
        """At most `limit` broadcast packets that were waiting; bad ones are counted in `dropped`."""
        found: list[Datagram] = []
        receive, clock = self._socket.recvmsg, self._clock
        clock.sample()
        for _ in range(limit):
            try:
                frame, ancillary, flags, origin = receive(LARGEST, _ANCILLARY)
            except OSError:  # empty, or the interface went down: the link monitor tells
                break
            read = _read(frame, ancillary, flags, origin[2])
            if isinstance(read, str):
                self._tally.drop(read)
                continue
            data, source, port, destination, stamp = read
            at = clock.convert(stamp) if stamp else clock.now
            found.append(Datagram(data, source, port, destination, frame[6:12], at))
        return found

    def lost(self) -> int:
        """Packets that the kernel found no room for, since this was last asked."""
        return dropped_by_packet_socket(self._socket)

    def send_frame(self, payload: bytes, hardware: bytes, address: int, source: int, port: int = 68) -> bool:
        """Send one frame; a payload that the MTU does not take is refused by the kernel and counted."""
        try:
            self._socket.send(build(payload, (self._mac, hardware), (source, address), port))
        except OSError as error:
            count_unsent(self.unsent, error)
            return False
        return True

    def send_udp(self, payload: bytes, address: int, port: int, source: int = 0) -> bool:
        """Through the link's UDP socket."""
        return self._udp.send_udp(payload, address, port, source)

    def announce(self) -> None:
        """Tell all neighbours whose the addresses are: relays, and clients that renew, may know an older MAC."""
        for address in self.addresses:
            with contextlib.suppress(OSError):  # a courtesy: their own ARP finds out within a minute
                self._socket.send(announcement(self._mac, address))

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()


def _open(info: InterfaceInfo) -> socket.socket:
    # Protocol 0 hears nothing until bind, by when the filter is in place (packet(7)).
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    try:
        bpf.attach(sock, bpf.for_raw(info.broadcasts))
        prepare(sock)
        sock.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        with contextlib.suppress(OSError):  # before Linux 4.20 they come, and are dropped
            sock.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        sock.bind((info.name, _ETH_P_IP))
    except OSError:
        sock.close()
        raise
    return sock


_Read = tuple[bytes, int, int, int, bytes]


def _read(frame: bytes, ancillary: list[tuple[int, int, bytes]], flags: int, kind: int) -> _Read | str:
    """(payload, source, source port, destination, receive stamp or b"") of a frame, or why it is dropped."""
    if flags & socket.MSG_TRUNC:
        return "too_large"
    status, stamp = 0, b""
    for level, name, value in ancillary:
        if level == _SOL_PACKET and name == _PACKET_AUXDATA:
            status, *_, tag, _protocol = _AUXDATA.unpack(value)
            # VLAN 0 is a priority, not a network (IEEE 802.1Q 9.6).
            if status & _VLAN_VALID and tag & _VLAN_ID:
                return "tagged"
        elif level == socket.SOL_SOCKET and name == SO_TIMESTAMPNS:
            stamp = value
    if kind == socket.PACKET_OUTGOING:
        return "outgoing"
    if kind == socket.PACKET_OTHERHOST:
        return "other_host"
    read = parse(frame, verify=not status & (_CSUM_NOT_READY | _CSUM_VALID))
    return read if isinstance(read, str) else (*read, stamp)


def parse(frame: bytes, *, verify: bool) -> tuple[bytes, int, int, int] | str:
    """(UDP payload, source, source port, destination) of an Ethernet frame, or "malformed" or "bad_checksum".

    verify: whether the UDP checksum is to be checked; an unfinished one cannot be, and 0 means none (RFC 768). Octets
    after the IP packet are padding; IP options are skipped; a UDP length beyond the IP payload is malformed.
    """
    if len(frame) < _SHORTEST:
        return "malformed"
    first, total, protocol, source, destination = _IP_FIELDS.unpack_from(frame, _ETHERNET)
    header = (first & 0x0F) * 4
    udp = _ETHERNET + header
    end = _ETHERNET + total
    if first >> 4 != 4 or header < 20 or protocol != socket.IPPROTO_UDP or not udp + _UDP <= end <= len(frame):
        return "malformed"
    port, _port, length, checksum = _UDP_FIELDS.unpack_from(frame, udp)
    if not _UDP <= length <= end - udp:
        return "malformed"
    if int.from_bytes(frame[_ETHERNET:udp], "big") % 0xFFFF:
        return "bad_checksum"
    segment = frame[udp : udp + length]
    if verify and checksum and (_sum(segment) + _sum_of_pseudo_header(source, destination, length)) % 0xFFFF:
        return "bad_checksum"
    return segment[_UDP:], source, port, destination


def build(payload: bytes, hardware: tuple[bytes, bytes], addresses: tuple[int, int], port: int) -> bytes:
    """An Ethernet frame from our server port, with every checksum. hardware, addresses: (source, destination)."""
    source, destination = addresses
    length = _UDP + len(payload)
    total = 20 + length
    ip = (0x45, _LOW_DELAY, total, 0, _DO_NOT_FRAGMENT, _TTL, socket.IPPROTO_UDP)
    udp = (bpf.SERVER_PORT, port, length)
    ip_sum = 0x4500 + _LOW_DELAY + total + _DO_NOT_FRAGMENT + (_TTL << 8) + socket.IPPROTO_UDP + source + destination
    udp_sum = sum(udp) + _sum(payload) + _sum_of_pseudo_header(source, destination, length)
    # In ones' complement 0 and 0xffff are one number; UDP must say 0xffff, for 0 means "none" (RFC 768).
    ip_checksum = -ip_sum % 0xFFFF
    udp_checksum = -udp_sum % 0xFFFF or 0xFFFF
    ethernet = (hardware[1], hardware[0], _ETH_P_IP)
    return _FRAME.pack(*ethernet, *ip, ip_checksum, source, destination, *udp, udp_checksum) + payload


def announcement(mac: bytes, address: int) -> bytes:
    """An Ethernet frame that tells everybody by ARP whose address this is (RFC 5227 section 2.3)."""
    ethernet = (BROADCAST_HARDWARE, mac, _ETH_P_ARP)
    return _ARP.pack(*ethernet, 1, _ETH_P_IP, 6, 4, _ARP_REQUEST, mac, address, bytes(6), address)


def _sum(data: bytes) -> int:
    """The ones' complement sum of 16-bit words, as far as modulo 0xffff goes (RFC 1071): 2**16 is 1 modulo 0xffff."""
    number = int.from_bytes(data, "big")
    return (number << 8 if len(data) & 1 else number) % 0xFFFF


def _sum_of_pseudo_header(source: int, destination: int, length: int) -> int:
    return source + destination + socket.IPPROTO_UDP + length

"""Classic BPF programs for the sockets: which packets wake us at all, decided in the kernel.

Law: every packet reaches exactly one of a link's two sockets. The raw socket takes what was sent to a broadcast
address, the UDP socket takes the rest; both programs are made from the same set of broadcast addresses.
"""

from __future__ import annotations

import ctypes
import socket
from collections.abc import Collection
from struct import Struct

Instruction = tuple[int, int, int, int]
"""(code, jump if true, jump if false, k) of `struct sock_filter`."""

SERVER_PORT = 67
LIMITED_BROADCAST = 0xFFFFFFFF
# Jumps are one octet; nobody's interface has that many prefixes, and the first ones matter most.
MOST_BROADCASTS = 200

_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE = 0x20, 0x28, 0x30
_LOAD_HALF_INDEXED, _LOAD_HEADER_LENGTH = 0x48, 0xB1
_JUMP_EQUAL, _JUMP_BITS, _RETURN = 0x15, 0x45, 0x06
_NETWORK = 0xFFF00000  # SKF_NET_OFF: offsets from the IP header, whatever the socket sees first
_PACKET_TYPE = 0xFFFFF004  # SKF_AD_OFF + SKF_AD_PKTTYPE
_WHOLE, _NOTHING = 0xFFFFFFFF, 0

_SO_ATTACH_FILTER = 26
_INSTRUCTION = Struct("HBBI")
_PROGRAM = Struct("HP")


def for_raw(broadcasts: Collection[int]) -> list[Instruction]:
    """Frames (from the Ethernet header on): IPv4, UDP, no fragment, to port 67 of a broadcast address."""
    targets = _targets(broadcasts)
    drop = len(targets)  # distance from the first comparison to the refusal below it
    return [
        (_LOAD_HALF, 0, 0, 12),
        (_JUMP_EQUAL, 0, 8 + drop, 0x0800),
        (_LOAD_BYTE, 0, 0, 23),
        (_JUMP_EQUAL, 0, 6 + drop, socket.IPPROTO_UDP),
        (_LOAD_HALF, 0, 0, 20),
        (_JUMP_BITS, 4 + drop, 0, 0x3FFF),  # more fragments, or an offset
        (_LOAD_HEADER_LENGTH, 0, 0, 14),
        (_LOAD_HALF_INDEXED, 0, 0, 16),
        (_JUMP_EQUAL, 0, 1 + drop, SERVER_PORT),
        (_LOAD_WORD, 0, 0, 30),
        *((_JUMP_EQUAL, drop - place, 0, target) for place, target in enumerate(targets)),
        (_RETURN, 0, 0, _NOTHING),
        (_RETURN, 0, 0, _WHOLE),
    ]


def for_udp(broadcasts: Collection[int]) -> list[Instruction]:
    """UDP packets to any address that `for_raw` does not take."""
    targets = _targets(broadcasts)
    return [
        (_LOAD_WORD, 0, 0, _NETWORK + 16),
        *((_JUMP_EQUAL, len(targets) - place, 0, target) for place, target in enumerate(targets)),
        (_RETURN, 0, 0, _WHOLE),
        (_RETURN, 0, 0, _NOTHING),
    ]


def for_relays() -> list[Instruction]:
    """UDP packets that were sent to this host alone, at both layers: broadcasts belong to a link's raw socket."""
    return [
        (_LOAD_WORD, 0, 0, _PACKET_TYPE),
        (_JUMP_EQUAL, 0, 3, socket.PACKET_HOST),
        (_LOAD_WORD, 0, 0, _NETWORK + 16),
        (_JUMP_EQUAL, 1, 0, LIMITED_BROADCAST),
        (_RETURN, 0, 0, _WHOLE),
        (_RETURN, 0, 0, _NOTHING),
    ]


def attach(sock: socket.socket, program: list[Instruction]) -> None:
    """Give a socket its filter, in place of the one that it had."""
    code = b"".join(_INSTRUCTION.pack(*instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code)  # the kernel copies it during the call
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, _PROGRAM.pack(len(program), ctypes.addressof(buffer)))


def _targets(broadcasts: Collection[int]) -> list[int]:
    return [LIMITED_BROADCAST, *sorted(set(broadcasts) - {LIMITED_BROADCAST})][:MOST_BROADCASTS]

"""What the process may do to its machine: from the first thread on, no more than serving takes.

The law of this file: a thread inherits from the one that starts it, so privileges go before any thread is there. Only
the opener keeps one more, opens the sockets, and ends. What is not there to be dropped is not missed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from everlease.errors import ConfigError

NET_BIND_SERVICE, NET_ADMIN, NET_RAW = 10, 12, 13
KEPT: Final = 1 << NET_BIND_SERVICE | 1 << NET_RAW
"""Capabilities (capability.h) that stay: a link that comes back needs port 67 and raw sockets again."""

_OPENING: Final = KEPT | 1 << NET_ADMIN
"""NET_ADMIN: receive buffers beyond net.core.rmem_max, for a boot storm (runtime.sockets)."""

# prctl.h; Python has no names for them.
_SET_KEEPCAPS, _CAPBSET_DROP, _SET_NO_NEW_PRIVS, _CAP_AMBIENT = 8, 24, 38, 47
_AMBIENT_CLEAR_ALL = 4
_VERSION_3: Final = 0x20080522
_LAST_CAPABILITY: Final = 63
_libc: Final = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


class Opener:
    """A thread that may still do what opening sockets takes. Use it once."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "opener")
        self._thread.submit(os.getpid).result()  # now it exists, with what its starter has now

    def open(self, work: Callable[[], None]) -> None:
        """Do this there, then end the thread. Raises what `work` raises."""
        try:
            self._thread.submit(work).result()
        finally:
            self._thread.shutdown()


def settle(user: str = "") -> Opener:
    """Become `user` ("" = stay who we are), and keep `KEPT` of what capabilities there are; for the whole process.

    Call it before any other thread is started. Processes that are started later get no privileges at all. Raises
    ConfigError for a user that is not there, or that we may not become.
    """
    _forget_bounds()
    if user:
        _become(user)
    _keep(_OPENING)
    opener = Opener()
    _keep(KEPT)
    _prctl(_SET_NO_NEW_PRIVS, 1)
    return opener


def _become(user: str) -> None:
    try:
        known = pwd.getpwnam(user)
    except KeyError:
        raise ConfigError(f"--user {user}: there is no such user") from None
    if os.getuid() == known.pw_uid:
        return
    _prctl(_SET_KEEPCAPS, 1)
    try:
        os.initgroups(user, known.pw_gid)
        os.setresgid(known.pw_gid, known.pw_gid, known.pw_gid)
        os.setresuid(known.pw_uid, known.pw_uid, known.pw_uid)
    except PermissionError as error:
        raise ConfigError(f"--user {user}: only root becomes another user") from error


def _forget_bounds() -> None:
    """No program that is started gets back what is dropped here; where that needs more than we have, it had none."""
    for capability in range(_LAST_CAPABILITY + 1):
        if not KEPT >> capability & 1:
            with contextlib.suppress(OSError):
                _prctl(_CAPBSET_DROP, capability)
    with contextlib.suppress(OSError):
        _prctl(_CAP_AMBIENT, _AMBIENT_CLEAR_ALL)


def _keep(wanted: int) -> None:
    """Of this thread's permitted capabilities only these, and all of them in effect; none is inherited."""
    header, sets = _Header(_VERSION_3, 0), (_Sets * 2)()
    _call(_libc.capget, ctypes.byref(header), sets)
    before = bytes(sets)
    for word, each in enumerate(sets):
        each.permitted &= wanted >> 32 * word & 0xFFFFFFFF
        each.effective, each.inheritable = each.permitted, 0
    if bytes(sets) != before:
        _call(_libc.capset, ctypes.byref(header), sets)


def _prctl(option: int, argument: int) -> None:
    _call(_libc.prctl, option, *(ctypes.c_ulong(each) for each in (argument, 0, 0, 0)))


def _call(function: Callable[..., int], *arguments: object) -> None:
    if function(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))

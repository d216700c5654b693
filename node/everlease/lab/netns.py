"""Network namespaces, the cables between them and switches to join them: a network that no real host can hear.

Law: nothing is ever created in the machine's own namespace, and nothing stays: a namespace's name carries the process
that made it, so that the next run also removes what a killed run left behind.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import itertools
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from everlease.lab.processes import LabError, Process, need, run, wait_until

T = TypeVar("T")
PREFIX = "everlease"
_FOLDER = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_numbers = itertools.count(1)
_living: dict[str, Namespace] = {}
_libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A network namespace with loopback up and IPv6 off. `label` says what it is for; `name` is unique."""

    def __init__(self, label: str, *, ipv6: bool = False) -> None:
        require_root()
        self.label = label
        self.name = f"{PREFIX}-{os.getpid()}-{next(_numbers)}-{label}"
        run(["ip", "netns", "add", self.name])
        _living[self.name] = self
        self.ip("link", "set", "lo", "up")
        if not ipv6:
            self.sysctl("net.ipv6.conf.all.disable_ipv6", "1")
            self.sysctl("net.ipv6.conf.default.disable_ipv6", "1")

    @property
    def path(self) -> Path:
        """Where the kernel keeps it: for setns and nsenter."""
        return _FOLDER / self.name

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` in here. Not `ip netns exec`: that copies the mount table as well."""
        return ["nsenter", f"--net={self.path}", *argv]

    def run(self, *argv: str, timeout: float = 30.0) -> str:
        """Run a short command in here and return what it printed."""
        return run(self.command(argv), timeout)

    def ip(self, *arguments: str) -> str:
        """`ip -n NAME ...`."""
        return run(["ip", "-n", self.name, *arguments])

    def nft(self, ruleset: str) -> None:
        """Add rules, as text in nft's own language."""
        self.run("nft", ruleset)

    def sysctl(self, name: str, value: str) -> None:
        """Set a sysctl of this namespace, for example "net.ipv4.ip_forward"."""
        path = Path("/proc/sys", *name.split("."))
        self.call(lambda: path.write_text(value))

    def call(self, function: Callable[[], T]) -> T:
        """Run a short function in a thread that is in here. Sockets that it opens stay in here for ever."""
        answers: list[T] = []
        errors: list[BaseException] = []

        def enter() -> None:
            try:
                _enter(self.path)
                answers.append(function())
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=enter, name=self.name)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return answers[0]

    def pids(self) -> list[int]:
        """Every process in here, those that daemonised as well."""
        return [int(pid) for pid in run(["ip", "netns", "pids", self.name]).split()]

    def delete(self) -> None:
        """Kill whatever runs in here, then remove it with all of its interfaces; harmless to call twice."""
        if _living.pop(self.name, None) is not None:
            _delete(self.name)

    def __enter__(self) -> Namespace:
        return self

    def __exit__(self, *error: object) -> None:
        self.delete()


class Switch:
    """An Ethernet switch: a namespace that holds a bridge; ports are cables to other namespaces."""

    def __init__(self, label: str) -> None:
        self.namespace = Namespace(label)
        self._numbers = itertools.count(1)
        self.ports: dict[str, str] = {}  # the namespace's label -> the port that it is plugged into
        self.namespace.ip("link", "add", "br0", "type", "bridge", "stp_state", "0", "mcast_snooping", "0")
        self.namespace.ip("link", "set", "br0", "up")

    def connect(self, namespace: Namespace, interface: str = "eth0", **settings: str) -> str:
        """Plug a namespace in; `settings` as for `cable`. Returns the port's name, to cut it or filter on it."""
        port = self.ports[namespace.label] = f"p{next(self._numbers)}"
        cable(namespace, interface, self.namespace, port, **settings)
        self.namespace.ip("link", "set", port, "master", "br0")
        return port

    def drop(self, port: str, match: str) -> None:
        """Lose what comes in by a port and matches, in nft's words: "udp dport 67". What the sender does not notice."""
        chain = f"type filter hook ingress device {port} priority 0;"
        self.namespace.nft(f"table netdev {port} {{\nchain loss {{\n{chain}\n{match} drop\n}}\n}}")

    def deliver(self, port: str) -> None:
        """Lose nothing any more."""
        self.namespace.nft(f"delete table netdev {port}")

    def lose_unicast(self, client: str) -> None:
        """What a client (its namespace's label) sends to one server gets lost: renewals, but not rebinding."""
        self.drop(self.ports[client], "ip daddr != 255.255.255.255 udp dport 67")

    def cut(self, port: str) -> None:
        """Pull the plug: the other end loses carrier."""
        self.namespace.ip("link", "set", port, "down")

    def restore(self, port: str) -> None:
        """Put it back."""
        self.namespace.ip("link", "set", port, "up")


def cable(one: Namespace, interface: str, other: Namespace, peer: str, **settings: str) -> None:
    """A veth pair between two namespaces, both ends up. settings of `one`'s end: address="10.0.0.1/24", mac, mtu."""
    one.ip("link", "add", interface, "type", "veth", "peer", "name", peer, "netns", other.name)
    if mac := settings.get("mac"):
        one.ip("link", "set", "dev", interface, "address", mac)
    if mtu := settings.get("mtu"):
        one.ip("link", "set", "dev", interface, "mtu", mtu)
    if address := settings.get("address"):
        one.ip("address", "add", address, "broadcast", "+", "dev", interface)
    other.ip("link", "set", "dev", peer, "up")
    one.ip("link", "set", "dev", interface, "up")
    # The kernel tells of carrier up to a second late, and some servers refuse an interface that is not running.
    wait_until(lambda: "state UP" in one.ip("-o", "link", "show", "dev", interface), 5, f"{interface} running", 0.01)


class Lab:
    """Owns namespaces and processes, keeps their logs in `folder`, and takes all of it down at its end."""

    def __init__(self, folder: Path) -> None:
        need("ip", "nsenter", "nft", "setpriv")
        require_root()
        sweep()
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._namespaces: list[Namespace] = []
        self._processes: list[Process] = []
        self._closers: list[Callable[[], Any]] = []

    def namespace(self, label: str, *, ipv6: bool = False) -> Namespace:
        """A fresh namespace."""
        self._namespaces.append(Namespace(label, ipv6=ipv6))
        return self._namespaces[-1]

    def switch(self, label: str = "switch") -> Switch:
        """A fresh switch."""
        switch = Switch(label)
        self._namespaces.append(switch.namespace)
        return switch

    def start(self, namespace: Namespace, *argv: str, log: str = "", **environment: str) -> Process:
        """Start a program in a namespace; its output goes to `folder`/`log`.log."""
        path = self.folder / f"{log or Path(argv[0]).name}-{namespace.label}.log"
        self._processes.append(Process(namespace.command(argv), path, environment))
        return self._processes[-1]

    def on_close(self, close: Callable[[], Any]) -> None:
        """Have `close` called before processes and namespaces go."""
        self._closers.append(close)

    def close(self) -> None:
        """Take everything down, last first."""
        with contextlib.ExitStack() as stack:
            for namespace in self._namespaces:
                stack.callback(namespace.delete)
            for process in self._processes:
                stack.callback(process.kill)
            for close in self._closers:
                stack.callback(close)
        self._namespaces, self._processes, self._closers = [], [], []

    def __enter__(self) -> Lab:
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def require_root() -> None:
    """LabError in one line unless namespaces can be made."""
    if os.geteuid() != 0:
        raise LabError("network namespaces need root: run `sudo ./tests/run.sh clients`")


def sweep() -> None:
    """Remove the namespaces of runs that were killed."""
    for path in _FOLDER.glob(f"{PREFIX}-*"):
        creator = re.match(rf"{PREFIX}-(\d+)-", path.name)
        if creator and not Path("/proc", creator[1]).exists():
            _delete(path.name)


def _enter(path: Path) -> None:
    with path.open("rb") as namespace:
        if _libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {path}")


def _delete(name: str) -> None:
    with contextlib.suppress(LabError):  # already gone: another run swept at the same moment
        for pid in run(["ip", "netns", "pids", name]).split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        run(["ip", "netns", "delete", name])


def _delete_all() -> None:
    for namespace in list(_living.values()):
        namespace.delete()


atexit.register(_delete_all)

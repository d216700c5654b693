"""Real DHCP clients, each with its own namespace, lease files and, where it writes to /run or /var, its own mounts.

Law: what a client says about itself proves nothing. Whether it is bound is asked of its kernel, whether it renewed is
seen in its packets.
"""

from __future__ import annotations

import itertools
import json
import shlex
import signal
from pathlib import Path

from everlease.lab.netns import Lab, Namespace
from everlease.lab.processes import LabError, Process, need, wait_until
from lab.capture import Capture, Captured

_numbers = itertools.count(1)

# Sets the address and nothing else: no /etc, no routes. Both programs call it, with names of their own.
_SCRIPT = """#!/bin/sh
reason="${reason:-$1}"
address="${new_ip_address:-$ip}"
mask="${new_subnet_mask:-$subnet}"
case "$reason" in
  BOUND|RENEW|REBIND|REBOOT|bound|renew)
    held=$(ip -o -4 addr show dev "$interface" | awk '{print $4}')
    [ "${held%/*}" = "$address" ] || { ip -4 addr flush dev "$interface"
      ip addr add "$address/${mask:-24}" broadcast + dev "$interface"; } ;;
  EXPIRE|FAIL|RELEASE|STOP|TIMEOUT|deconfig|nak)
    ip -4 addr flush dev "$interface" ;;
esac
"""


class Client:
    """What all clients can. Subclasses say how to start the program, and how to release and renew."""

    program = ""

    def __init__(self, lab: Lab, namespace: Namespace, interface: str = "eth0") -> None:
        need(self.program)
        self.lab = lab
        self.namespace = namespace
        self.interface = interface
        self.folder = lab.folder / f"{type(self).__name__.lower()}-{next(_numbers)}"
        self.folder.mkdir()
        self.capture = Capture(namespace, interface).start()
        self.process: Process | None = None
        lab.on_close(self.capture.stop)

    def command(self) -> list[str]:
        """The program in the foreground."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, or start it again: with the lease that it remembers (INIT-REBOOT)."""
        argv = self.command()
        self.process = self.lab.start(self.namespace, *argv, log=self.folder.name)

    def obtain(self, timeout: float = 30.0) -> str:
        """Start, and wait for an address."""
        self.start()
        return self.wait_bound(timeout)

    def address(self) -> str | None:
        """The IPv4 address that its kernel has just now."""
        rows = json.loads(self.namespace.ip("-json", "-4", "address", "show", "dev", self.interface) or "[]")
        addresses = [entry["local"] for row in rows for entry in row.get("addr_info", [])]
        return addresses[0] if addresses else None

    def wait_bound(self, timeout: float = 30.0) -> str:
        """The address that its kernel gets; LabError with the packets and the log otherwise."""
        try:
            return wait_until(self.address, timeout, f"{self.program} bound")
        except LabError as late:
            seen = "\n".join(map(str, self.capture.packets))
            said = self.process.tail() if self.process else "never started"
            raise LabError(f"{late}\n{seen}\n{said}") from late

    def wait_unbound(self, timeout: float = 30.0) -> None:
        """Wait until its kernel has no address any more."""
        wait_until(lambda: self.address() is None, timeout, f"{self.program} unbound")

    def wait_renewed(self, timeout: float = 60.0, start: int | None = None) -> Captured:
        """The next ACK to a unicast REQUEST with ciaddr (RENEWING); `start`: the first packet to look at."""
        return self._wait_ack(timeout, start, unicast=True)

    def wait_rebound(self, timeout: float = 120.0, start: int | None = None) -> Captured:
        """The next ACK to a broadcast REQUEST with ciaddr (REBINDING)."""
        return self._wait_ack(timeout, start, unicast=False)

    def sent(self, kind: str) -> list[Captured]:
        """Every message of a kind ("DISCOVER", ...) that it sent."""
        return [packet for packet in self.capture.packets if packet.sent and packet.kind == kind]

    def received(self, kind: str) -> list[Captured]:
        """Every message of a kind ("OFFER", "ACK", "NAK") that reached it."""
        return [packet for packet in self.capture.packets if not packet.sent and packet.kind == kind]

    def release(self) -> None:
        """Give the lease back; returns when the RELEASE was seen on the wire."""
        start = len(self.capture.packets)
        self._release()
        self.capture.wait(lambda packet: packet.sent and packet.kind == "RELEASE", 10, start)

    def kill(self) -> None:
        """kill -9: the server hears nothing. The address would stay with the kernel; it is flushed here."""
        self.running.kill()
        self.namespace.ip("-4", "address", "flush", "dev", self.interface)

    @property
    def running(self) -> Process:
        """The process; LabError if it was never started."""
        if self.process is None:
            raise LabError(f"{self.program} was never started")
        return self.process

    def _release(self) -> None:
        raise NotImplementedError

    def _wait_ack(self, timeout: float, start: int | None, *, unicast: bool) -> Captured:
        start = len(self.capture.packets) if start is None else start
        asked: set[int] = set()

        def answers(packet: Captured) -> bool:
            message = packet.packet
            if message is None:
                return False
            if packet.sent and packet.kind == "REQUEST" and message.ciaddr:
                if unicast == (packet.destination != 0xFFFFFFFF):
                    asked.add(message.xid)
                else:
                    asked.discard(message.xid)
            return not packet.sent and packet.kind == "ACK" and message.xid in asked

        return self.capture.wait(answers, timeout, start)

    def _script(self) -> Path:
        script = self.folder / "script"
        script.write_text(_SCRIPT)
        script.chmod(0o755)
        return script


class Dhclient(Client):
    """ISC dhclient. It can't be told to renew: wait for T1, or start it again for INIT-REBOOT."""

    program = "dhclient"

    def command(self) -> list[str]:
        """`settings` in dhclient.conf may be written to `folder`/conf before the start."""
        return [self.program, "-4", "-d", *self._files(), self.interface]

    def configure(self, text: str) -> None:
        """Statements of dhclient.conf(5)."""
        (self.folder / "conf").write_text(text)

    def _files(self) -> list[str]:
        conf = self.folder / "conf"
        if not conf.exists():
            conf.write_text("retry 10;\ninitial-interval 2;\n")
        names = {"-cf": conf, "-lf": self.folder / "leases", "-pf": self.folder / "pid", "-sf": self._script()}
        return [word for flag, path in names.items() for word in (flag, str(path))]

    def _release(self) -> None:
        self.namespace.run(self.program, "-4", "-r", *self._files(), self.interface)


class Udhcpc(Client):
    """BusyBox udhcpc."""

    program = "udhcpc"
    flags: tuple[str, ...] = ()

    def command(self) -> list[str]:
        """Tries for ever; `flags` are added as they are."""
        files = ["-s", str(self._script()), "-p", str(self.folder / "pid")]
        return [self.program, "-f", "-i", self.interface, "-t", "4", "-T", "3", "-A", "3", *files, *self.flags]

    def renew(self) -> None:
        """Renew now."""
        self.running.signal(signal.SIGUSR1)

    def _release(self) -> None:
        self.running.signal(signal.SIGUSR2)


class Dhcpcd(Client):
    """dhcpcd; sees its own /run/dhcpcd and /var/lib/dhcpcd. `noarp`, or each lease takes five seconds of probing."""

    program = "dhcpcd"
    settings = "noarp\nnohook resolv.conf, hostname, timesyncd, ntp\noption subnet_mask, routers\nnoipv4ll\nclientid\n"

    def command(self) -> list[str]:
        """In its own mounts."""
        conf = self.folder / "conf"
        conf.write_text(self.settings)
        words = [self.program, "-4", "-B", "-d", "-f", str(conf), "-c", "/bin/true", self.interface]
        kept = self.folder / "kept"  # what it remembers from one start to the next
        kept.mkdir(exist_ok=True)
        return privately(["/run/dhcpcd", f"/var/lib/dhcpcd={kept}"], words)

    def renew(self) -> None:
        """Renew now."""
        self._tell("-N")

    def _release(self) -> None:
        self._tell("-k")

    def _tell(self, flag: str) -> None:
        inside = ["nsenter", "-m", "-t", str(self.running.pid), self.program, "-4", flag, self.interface]
        self.namespace.run(*inside)


class Networkd(Client):
    """systemd-networkd. A read-only /sys tells it that there is no udev to wait for; /run/systemd is its own."""

    program = "/lib/systemd/systemd-networkd"
    settings = ""

    def command(self) -> list[str]:
        """In its own mounts; `settings` are added to the section [DHCPv4]."""
        unit = self.folder / "lab.network"
        identity = int.from_bytes(self.folder.name.encode()[-3:], "big")
        unit.write_text(
            f"[Match]\nName={self.interface}\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
            f"[DHCPv4]\nIAID={identity}\nSendRelease=yes\nUseDNS=no\nUseHostname=no\n{self.settings}\n"
        )
        setup = (
            f"mkdir -p /run/systemd/network && cp {unit} /run/systemd/network/ && chmod -R a+rX /run/systemd"
            " && mount --bind /sys /sys && mount -o remount,ro,bind /sys"
        )
        environment = ["env", "SYSTEMD_LOG_LEVEL=debug", "SYSTEMD_LOG_TARGET=console"]
        return privately(["/run/systemd"], [*environment, self.program], setup)

    def renew(self) -> None:
        """It is told over D-Bus, which isn't there: down and up again makes it ask for the address that it had."""
        self.namespace.ip("link", "set", self.interface, "down")
        self.namespace.ip("link", "set", self.interface, "up")

    def _release(self) -> None:
        self.running.signal(signal.SIGTERM)


class Dhcrelay:
    """ISC dhcrelay between a namespace's client side and one or more servers."""

    def __init__(self, lab: Lab, namespace: Namespace, down: str, up: str, *servers: str) -> None:
        need("dhcrelay")
        interfaces = ["-id", down, "-iu", up]
        pid = lab.folder / f"dhcrelay-{next(_numbers)}.pid"
        self.process = lab.start(namespace, "dhcrelay", "-4", "-d", "-a", *interfaces, "-pf", str(pid), *servers)


ALL: tuple[type[Client], ...] = (Dhclient, Udhcpc, Dhcpcd, Networkd)


def privately(folders: list[str], argv: list[str], setup: str = "true") -> list[str]:
    """A command line that runs `argv` with its own empty `folders`; "FOLDER=SOURCE" binds SOURCE there instead."""
    mounts = []
    for folder in folders:
        where, _, source = folder.partition("=")
        mounts.append(f"mkdir -p {where}")
        mounts.append(f"mount --bind {source} {where}" if source else f"mount -t tmpfs tmpfs {where}")
    script = " && ".join([*mounts, setup, f"exec {shlex.join(argv)}"])
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]

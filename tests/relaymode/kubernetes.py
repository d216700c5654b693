"""What a cluster does for a UDP Service: destinations rewritten as kube-proxy does it, and readiness that turns it.

Law: rules and marks are those of kube-proxy's nftables mode; a flow stays with its pod as long as connection tracking
knows it, and is forgotten when its pod is no endpoint any more.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence

from everlease.lab.netns import Namespace
from everlease.lab.processes import LabError
from relaymode.fabric import PODS, PORT, page

_MASQUERADE = "0x4000"


class Proxy:
    """kube-proxy of one host, for one load balancer's address. masquerade: as for `externalTrafficPolicy: Cluster`."""

    def __init__(self, host: Namespace, address: str, *, masquerade: bool = False, forgets: bool = True) -> None:
        self._host, self._address, self._forgets = host, address, forgets
        self._table = f"everlease-{address.replace('.', '-')}"
        self._endpoints: tuple[str, ...] = ()
        mark = f"meta mark set meta mark or {_MASQUERADE} " if masquerade else ""
        self._match = f"ip daddr {address} udp dport 67 {mark}"
        host.nft(
            f"table ip {self._table} {{\n"
            "chain services { type nat hook prerouting priority dstnat; }\n"
            "chain after { type nat hook postrouting priority srcnat; "
            f"meta mark & {_MASQUERADE} == {_MASQUERADE} masquerade fully-random; }}\n}}"
        )

    def aim(self, endpoints: Sequence[str]) -> None:
        """Send new flows to these pods, each as often as the others; flows of pods that are gone are forgotten."""
        gone = set(self._endpoints) - set(endpoints)
        self._endpoints = tuple(endpoints)
        pods = ", ".join(f"{number} : {pod} . {PORT}" for number, pod in enumerate(endpoints))
        to = f"dnat ip to numgen random mod {len(endpoints)} map {{ {pods} }}" if endpoints else "drop"
        self._host.nft(f"flush chain ip {self._table} services; add rule ip {self._table} services {self._match} {to}")
        for pod in gone if self._forgets else ():
            flows = ("conntrack", "-D", "-p", "udp", "--orig-dst", self._address, "--reply-src", pod)
            with contextlib.suppress(LabError):  # there is none to forget
                self._host.run(*flows)

    def pinned(self) -> str:
        """The pod that a relay's flow goes to."""
        flows = self._host.run("conntrack", "-L", "-p", "udp", "--orig-dst", self._address)
        return next(pod for pod in PODS if f"src={pod}" in flows)

    def close(self) -> None:
        """Take the rules away."""
        self._host.nft(f"delete table ip {self._table}")
        with contextlib.suppress(LabError):
            self._host.run("conntrack", "-D", "-p", "udp", "--orig-dst", self._address)


class Kubelet:
    """Asks each pod whether it is ready, as the probe says, and tells the proxy; runs inside its `with` block."""

    def __init__(self, workers: Sequence[Namespace], proxy: Proxy, probe: dict[str, int]) -> None:
        self._workers, self._proxy = workers, proxy
        self._period, self._timeout = probe["periodSeconds"], probe["timeoutSeconds"]
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._probe, args=(number,)) for number in range(len(workers))]
        self._ready = dict.fromkeys(PODS, True)
        self._lock = threading.Lock()
        self.turned: list[tuple[float, str, bool]] = []

    def __enter__(self) -> Kubelet:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _probe(self, number: int) -> None:
        pod = PODS[number]
        while not self._over.wait(self._period):
            ready = self._workers[number].call(lambda: page(pod, "/readyz", self._timeout))[0] == 200
            with self._lock:
                if ready != self._ready[pod]:
                    self._ready[pod] = ready
                    self.turned.append((time.time(), pod, ready))
                    self._proxy.aim([each for each in PODS if self._ready[each]])

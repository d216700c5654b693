"""The ways to publish the replicas: one Service each, or one for all; and a relay that knows their addresses."""

from __future__ import annotations

from types import TracebackType

from relaymode.fabric import BALANCERS, PODS, SHARED, Fabric
from relaymode.kubernetes import Proxy


class Form:
    """Proxies and a relay, inside a `with` block."""

    def __init__(self, fabric: Fabric, proxies: list[Proxy], servers: list[str]) -> None:
        self.fabric, self.proxies = fabric, proxies
        self._relay = fabric.helpers(*servers).process

    def __enter__(self) -> Form:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._relay.kill()
        for proxy in self.proxies:
            proxy.close()


def one_each(fabric: Fabric, *, masquerade: bool = False) -> Form:
    """A Service for each replica. masquerade: its packets land on the next worker, which hides where they came from."""
    offset = int(masquerade)
    fabric.land(offset)
    proxies = []
    for number, address in enumerate(BALANCERS):
        worker = fabric.workers[(number + offset) % len(BALANCERS)]
        proxies.append(Proxy(worker, address, masquerade=masquerade))
        proxies[-1].aim([PODS[number]])
    return Form(fabric, proxies, BALANCERS)


def one_for_all(fabric: Fabric, *, forgets: bool = True) -> Form:
    """One Service, at the edge, with every pod behind it. forgets: flows of pods that are no endpoints any more."""
    proxy = Proxy(fabric.edge, SHARED, forgets=forgets)
    proxy.aim(PODS)
    return Form(fabric, [proxy], [SHARED])

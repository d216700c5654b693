"""A served link: an interface with its two sockets, opened again when the interface was deleted and made anew.

Law: without carrier a link is not served. The runtime takes it out of presence as soon as `LinkMonitor` speaks, and
so the other nodes answer its clients.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from everlease.errors import ConfigError
from everlease.runtime.ethernet import LinkEndpoint
from everlease.runtime.interfaces import InterfaceInfo, describe
from everlease.runtime.sockets import Ports, Tally
from everlease.runtime.udp import UdpEndpoint


class Link:
    """One `--interface [LABEL=]IF`. label: the link's name in the configuration; name: the interface's.

    tally: the node's tables of drops by reason (see `sockets.Endpoint`); None = tables of its own.
    """

    def __init__(self, label: str, name: str, ports: Ports, tally: Tally | None = None) -> None:
        self.label = label
        self.name = name
        self._ports = ports
        self._tally = tally
        self._info: InterfaceInfo | None = None
        self.endpoints: tuple[LinkEndpoint, UdpEndpoint] | tuple[()] = ()

    @property
    def up(self) -> bool:
        """The interface is there, its sockets are open, and it has carrier."""
        return bool(self.endpoints) and self._info is not None and self._info.carrier

    def open(self) -> None:
        """Open both sockets. Raises ConfigError, in one line, if the interface is missing or may not be opened."""
        info = describe(self.name)
        udp = UdpEndpoint(self.label, info, self._ports, self._tally)
        try:
            self.endpoints = (LinkEndpoint(self.label, info, udp), udp)
        except ConfigError:
            udp.close()
            raise
        self._info = info

    def refresh(self, forget: Callable[[int], object]) -> None:
        """Learn what is true now: new addresses and MTU are taken over in place, another interface is opened anew.

        forget: `loop.remove_reader`, called with every file number before anything else. Add readers for `endpoints`
        afterwards, in any case: the number may mean another socket by then, and uvloop has stopped reading a raw socket
        whose interface went down for a moment. An interface that is gone leaves `endpoints` empty until it is back.
        """
        for endpoint in self.endpoints:
            forget(endpoint.fileno())
        try:
            info = describe(self.name)
        except ConfigError:
            self.close()
            return
        if self._info is None or info.index != self._info.index:
            self.close()
            with contextlib.suppress(ConfigError):  # it may be gone again; its return will be told, too
                self.open()
            return
        self._info = info
        for endpoint in self.endpoints:
            endpoint.learn(info)

    def announce(self) -> None:
        """Tell the neighbours of the interface whose its addresses are, if it is up."""
        if self.up and self.endpoints:
            self.endpoints[0].announce()

    def close(self) -> None:
        """Close both sockets."""
        for endpoint in self.endpoints:
            endpoint.close()
        self.endpoints = ()
        self._info = None

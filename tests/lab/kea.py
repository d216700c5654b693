"""Kea's DHCPv4 server in a namespace: another implementation, to prove the laboratory's clients without our own."""

from __future__ import annotations

import json

from everlease.lab.netns import Lab, Namespace
from everlease.lab.processes import LabError, Process, need, wait_until


class Kea:
    """One memfile server on `interface`; renewal after half of `lifetime` seconds."""

    def __init__(self, lab: Lab, namespace: Namespace, subnet: str, pool: str, lifetime: int = 600) -> None:
        need("kea-dhcp4")
        folder = lab.folder / f"kea-{namespace.label}"
        folder.mkdir()
        options = [{"name": "routers", "data": pool.partition(" ")[0]}]
        config = {
            "interfaces-config": {"interfaces": ["eth0"], "dhcp-socket-type": "raw"},
            "lease-database": {"type": "memfile", "name": str(folder / "leases.csv"), "lfc-interval": 0},
            "valid-lifetime": lifetime,
            "renew-timer": lifetime // 2,
            "rebind-timer": lifetime * 3 // 4,
            "subnet4": [{"id": 1, "subnet": subnet, "pools": [{"pool": pool}], "option-data": options}],
            "loggers": [{"name": "kea-dhcp4", "output_options": [{"output": "stdout"}], "severity": "INFO"}],
        }
        path = folder / "kea.json"
        path.write_text(json.dumps({"Dhcp4": config}))
        environment = {"KEA_PIDFILE_DIR": str(folder), "KEA_LOCKFILE_DIR": "none"}
        self.process: Process = lab.start(namespace, "kea-dhcp4", "-c", str(path), **environment)
        wait_until(self._started, 10, "kea-dhcp4 started")

    def _started(self) -> bool:
        if self.process.returncode is not None:
            raise LabError(self.process.tail())
        return "DHCP4_STARTED" in self.process.log.read_text()

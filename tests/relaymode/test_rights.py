"""A node of broadcast mode serves its link with the rights that the chart gives it, and none besides."""

from __future__ import annotations

from pathlib import Path

import pytest

from everlease.lab.etcd import EtcdCluster
from everlease.lab.netns import Lab
from helm.chart import BASES, Object, arguments, merged, nodes, render
from lab.nodes import Node
from lab.packet_client import PacketClient

pytestmark = [pytest.mark.root, pytest.mark.etcd]

HOST = "10.77.0.2"
VALUES = merged(
    BASES["broadcast"],
    {
        "etcd": {"endpoints": [f"http://{HOST}:2379"]},
        "configuration": {
            "document": {
                "subnets": [
                    {"id": 1, "prefix": "10.77.0.0/16", "pools": [{"range": "10.77.16.0/24"}], "link": "office"}
                ]
            }
        },
    },
)


def confined(context: Object) -> list[str]:
    """A command line's beginning that has what follows run with a container's rights, on a read-only root."""
    kept = [f"+{name.lower()}" for name in context["capabilities"]["add"]]
    rights = ["setpriv", f"--reuid={context['runAsUser']}", "--bounding-set", ",".join(["-all", *kept])]
    sealed = ["unshare", "--mount", "sh", "-c", 'mount -o remount,ro,bind / && exec "$@"', "sealed"]
    return [*sealed, *rights, "--inh-caps=-all", "--no-new-privs"]


def test_a_host_serves_a_link_with_two_capabilities_and_a_read_only_root(lab: Lab, tmp_path: Path) -> None:
    host, client = lab.namespace("host"), lab.namespace("client")
    link = lab.switch("office")
    link.connect(host, "eth1", address=f"{HOST}/16")
    link.connect(client, "eth0")
    etcd = EtcdCluster(tmp_path / "etcd", places=[(host, HOST)]).start()
    lab.on_close(etcd.stop)
    objects = render(VALUES)
    (workload,) = nodes(objects)
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    (document,) = (each["data"]["everlease.yaml"] for each in objects if each["kind"] == "ConfigMap")
    file = tmp_path / "everlease.yaml"
    file.write_text(document)
    node = Node(tmp_path, host, "worker-1", ())
    words = arguments(workload, NODE_NAME="worker-1", POD_IP="127.0.0.1")
    node.arguments = [word.replace("/etc/everlease/configuration/everlease.yaml", str(file)) for word in words]
    node.program = [*confined(container["securityContext"]), *node.program]
    node.start().wait_ready()
    status = Path(f"/proc/{node.running.pid}/status").read_text()
    assert "CapBnd:\t0000000000002400" in status  # NET_RAW, NET_BIND_SERVICE
    talker = PacketClient(client)
    assert talker.obtain().kind == "ACK"
    talker.close()
    assert node.stop() == 0

"""The three members that the chart can bring: real etcd takes their flags, and they become one cluster."""

from __future__ import annotations

import json

import pytest

from everlease.lab.netns import Lab
from everlease.lab.processes import LabError, need, wait_until
from helm.chart import BASES, NAMESPACE, arguments, merged, of_kind, render, switches

pytestmark = [pytest.mark.root, pytest.mark.etcd]


def test_the_members_inside_find_each_other_and_commit(lab: Lab) -> None:
    need("etcd", "etcdctl")
    objects = render(merged(BASES["relay"], switches("relay")["internal-etcd"]))
    (workload,) = (each for each in of_kind(objects, "StatefulSet") if each["metadata"]["name"].endswith("-etcd"))
    name, port = workload["metadata"]["name"], workload["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert [each["containerPort"] for each in port] == [2379, 2380]
    switch, pods = lab.switch("pods"), [lab.namespace(f"member{number}") for number in range(3)]
    addresses = {f"{name}-{number}.{name}.{NAMESPACE}.svc": f"10.244.9.{number + 1}" for number in range(3)}
    for number, pod in enumerate(pods):
        switch.connect(pod, "eth0", address=f"10.244.9.{number + 1}/24")
        words = arguments(workload, POD_NAME=f"{name}-{number}")
        for host, address in addresses.items():  # what the cluster's DNS answers
            words = [word.replace(host, address) for word in words]
        words = [word.replace("/var/lib/etcd", str(lab.folder / f"member{number}")) for word in words]
        lab.start(pod, "etcd", *words)

    def members() -> list[str]:
        try:
            pods[0].run("env", "ETCDCTL_API=3", "etcdctl", "put", "a", "b")
            told = json.loads(pods[1].run("env", "ETCDCTL_API=3", "etcdctl", "member", "list", "-w", "json"))
        except LabError:
            return []
        return sorted(each.get("name", "") for each in told["members"])

    assert wait_until(members, 30, "three members commit") == [f"{name}-{number}" for number in range(3)]

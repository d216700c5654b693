"""What the pods may do, and when they count as alive and ready."""

from __future__ import annotations

import pytest

from helm.chart import Object, nodes, of_kind, pods, texts
from helm.test_objects import CASES, objects

BROADCAST = [case for case in CASES if case.startswith("broadcast")]
RELAY = [case for case in CASES if case.startswith("relay")]


def restricted(pod: Object) -> list[str]:
    """What the Pod Security level "restricted" would refuse of a pod, by its published rules."""
    spec = pod["spec"]
    found = [name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    context = spec.get("securityContext", {})
    if context.get("seccompProfile", {}).get("type") not in {"RuntimeDefault", "Localhost"}:
        found.append("seccompProfile")
    sysctls = {sysctl["name"] for sysctl in context.get("sysctls", [])}
    found += sorted(sysctls - {"net.ipv4.ip_unprivileged_port_start"})
    allowed = {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
    found += [str(volume) for volume in spec.get("volumes", []) if not set(volume) - {"name"} <= allowed]
    for container in spec["containers"]:
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False:
            found.append("allowPrivilegeEscalation")
        if own.get("capabilities", {}).get("drop") != ["ALL"]:
            found.append("capabilities.drop")
        if set(own.get("capabilities", {}).get("add", [])) - {"NET_BIND_SERVICE"}:
            found.append("capabilities.add")
        if not (own.get("runAsNonRoot") or context.get("runAsNonRoot")) or own.get("runAsUser", 1) == 0:
            found.append("runAsNonRoot")
        found += [f"hostPort {port['hostPort']}" for port in container.get("ports", []) if "hostPort" in port]
    return found


@pytest.mark.parametrize("case", RELAY)
def test_in_relay_mode_every_pod_keeps_to_the_restricted_level(case: str) -> None:
    for owner, pod in pods(objects(case)):
        assert restricted(pod) == [], owner
    assert 'level "restricted"' in texts(CASES[case])["everlease/templates/NOTES.txt"]


@pytest.mark.parametrize("case", BROADCAST)
def test_in_broadcast_mode_a_node_has_raw_sockets_and_port_67_and_no_other_right(case: str) -> None:
    for each in nodes(objects(case)):
        spec = each["spec"]["template"]["spec"]
        assert spec["hostNetwork"] is True
        assert spec["dnsPolicy"] == "ClusterFirstWithHostNet"
        assert spec["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}
        assert spec["containers"][0]["securityContext"] == {
            "runAsUser": 0,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"], "add": ["NET_RAW", "NET_BIND_SERVICE"]},
        }
    others = [pod for owner, pod in pods(objects(case)) if not owner.startswith("DaemonSet")]
    assert [restricted(pod) for pod in others] == [[]] * len(others)
    assert 'level "privileged"' in texts(CASES[case])["everlease/templates/NOTES.txt"]


@pytest.mark.parametrize("case", CASES)
def test_no_pod_gets_an_api_token_service_variables_or_a_writable_root(case: str) -> None:
    for owner, pod in pods(objects(case)):
        assert pod["spec"]["automountServiceAccountToken"] is False, owner
        assert pod["spec"]["enableServiceLinks"] is False, owner
        for container in pod["spec"]["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, owner


@pytest.mark.parametrize("case", CASES)
def test_probes_ask_the_pages_that_mean_alive_and_ready(case: str) -> None:
    for each in nodes(objects(case)):
        (container,) = each["spec"]["template"]["spec"]["containers"]
        assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "metrics"}
        ready = container["readinessProbe"]
        assert ready["httpGet"] == {"path": "/readyz", "port": "metrics"}
        assert (ready["periodSeconds"], ready["failureThreshold"], ready["timeoutSeconds"]) == (2, 1, 1)


@pytest.mark.parametrize("case", CASES)
def test_there_is_time_to_drain(case: str) -> None:
    for each in nodes(objects(case)):
        spec = each["spec"]["template"]["spec"]
        waits = spec["containers"][0].get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["", "0"])
        assert spec["terminationGracePeriodSeconds"] >= int(waits[1]) + 10


def test_a_replica_answers_on_while_load_balancers_turn_away_from_it() -> None:
    (node,) = nodes(objects("relay-plain"))
    (container,) = node["spec"]["template"]["spec"]["containers"]
    assert container["lifecycle"] == {"preStop": {"exec": {"command": ["sleep", "5"]}}}


def test_replicas_are_spread_over_hosts_and_zones() -> None:
    (node,) = nodes(objects("relay-plain"))
    rules = node["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert {(rule["topologyKey"], rule["maxSkew"], rule["whenUnsatisfiable"]) for rule in rules} == {
        ("kubernetes.io/hostname", 1, "DoNotSchedule"),
        ("topology.kubernetes.io/zone", 1, "ScheduleAnyway"),
    }


def test_evictions_are_bounded_as_each_kind_of_workload_can_be() -> None:
    (relay,) = of_kind(objects("relay-plain"), "PodDisruptionBudget")
    assert relay["spec"]["maxUnavailable"] == 1
    (broadcast,) = of_kind(objects("broadcast-plain"), "PodDisruptionBudget")
    assert broadcast["spec"]["minAvailable"] == 1
    assert "maxUnavailable" not in broadcast["spec"]


def test_each_group_serves_its_links_on_its_hosts() -> None:
    found = {each["metadata"]["name"]: each["spec"]["template"]["spec"] for each in nodes(objects("broadcast-groups"))}
    assert set(found) == {"dhcp-everlease-a", "dhcp-everlease-b"}
    first, second = found["dhcp-everlease-a"], found["dhcp-everlease-b"]
    assert first["nodeSelector"] == {"rack": "a"}
    assert second["nodeSelector"] == {"rack": "b"}
    assert {"--interface=lab=eth2", "--interface=office=eth1"} <= set(first["containers"][0]["args"])
    assert "--interface=office=bond0.7" in second["containers"][0]["args"]
    assert second["tolerations"] == [{"key": "rack", "operator": "Equal", "value": "b"}]
    assert "tolerations" not in first


def test_the_document_is_applied_after_the_release_and_a_refusal_is_final() -> None:
    (job,) = of_kind(objects("relay-document"), "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "post-install,post-upgrade,post-rollback"
    (rule,) = job["spec"]["podFailurePolicy"]["rules"]
    assert rule["action"] == "FailJob"
    assert rule["onExitCodes"]["values"] == [1, 2]
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"


def test_without_a_document_there_is_no_job_and_the_notes_say_so() -> None:
    assert of_kind(objects("relay-plain"), "Job", "ConfigMap") == []
    assert "the nodes wait for `everlease config apply`" in texts(CASES["relay-plain"])["everlease/templates/NOTES.txt"]


@pytest.mark.parametrize("case", CASES)
def test_helm_test_asks_for_the_clusters_status(case: str) -> None:
    found = [
        each for each in of_kind(objects(case), "Pod") if each["metadata"]["annotations"]["helm.sh/hook"] == "test"
    ]
    assert [each["spec"]["containers"][0]["command"] for each in found] == [["everlease", "cluster", "status"]]

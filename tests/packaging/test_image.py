"""The image's steps, done without Docker, end in a program that serves; and what stands around it fits together."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from checkout import ROOT, run, tracked_copy
from everlease.cli.node import app
from everlease.lab.etcd import free_ports
from everlease.lab.processes import Loopback, Process, need, wait_until
from everlease.quickstart.clients import RelayedClient
from lab.nodes import Node, free_listen

DEPLOY = ROOT / "deploy"
DOCKERFILE = DEPLOY / "Dockerfile"
COMPOSE = DEPLOY / "compose.yaml"
OFFICE = """\
subnets:
  - {id: 1, prefix: 10.77.0.0/16, relays: [127.0.0.1], pools: [{range: 10.77.16.0/24}]}
"""
RECOMMENDED = dict(re.findall(r"^(ETCD_\w+)=(.*)$", (DEPLOY / "etcd" / "etcd.env").read_text(), re.MULTILINE))


def stages() -> list[list[tuple[str, str]]]:
    """The Dockerfile's stages: (instruction, rest) without comments, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text())
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    found: list[list[tuple[str, str]]] = []
    for name, rest in lines:
        if name == "FROM":
            found.append([])
        found[-1].append((name, rest))
    return found


def test_the_linter_has_nothing_to_say_of_the_image() -> None:
    run(Path(sys.executable).with_name("hadolint"), DOCKERFILE)


def test_the_last_stage_has_no_compiler_and_no_root() -> None:
    last = dict(stages()[-1])
    assert last["FROM"].endswith("-slim")
    assert "RUN" not in last
    assert last["USER"] == "65532:65532"
    assert "/healthz" in last["HEALTHCHECK"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the build stage leaves in /opt/everlease, made by its own steps below another folder."""
    tree, source = tracked_copy(tmp_path_factory.mktemp("tree")), tmp_path_factory.mktemp("source")
    target = tmp_path_factory.mktemp("opt") / "everlease"
    for name, rest in stages()[0]:
        if name == "COPY":
            *what, into = rest.split()
            for each in what:
                copy(tree / each, source / into if into != "./" else source / each)
        elif name == "RUN":
            command = rest.replace("/opt/everlease", str(target)).replace(
                "python3 -m venv", f"{sys.executable} -m venv"
            )
            run("sh", "-c", command, cwd=source)
    return target


def copy(what: Path, into: Path) -> None:
    if what.is_dir():
        shutil.copytree(what, into)
    else:
        shutil.copy(what, into)


def test_the_images_program_tells_its_version(built: Path) -> None:
    assert re.search(r"\d+\.\d+\.\d+", run(built / "bin" / "everlease", "--version"))


@pytest.mark.etcd
def test_the_images_program_leases_an_address(
    built: Path, etcd, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    document = tmp_path / "office.yaml"
    document.write_text(OFFICE)
    listen = free_listen()
    node = Node(
        tmp_path, Loopback(), "n1", etcd.endpoints, listens=[listen], prefix=etcd.prefix,
        document=document, flags=["--reply-to", "source"],
    )  # fmt: skip
    node.program = [str(built / "bin" / "everlease")]
    node.start()
    request.addfinalizer(node.kill)
    node.wait_ready(40)
    assert RelayedClient([("127.0.0.1", int(listen.rpartition(":")[2]))]).bind().address.startswith("10.77.16.")
    assert node.stop() == 0


def test_everything_that_the_image_copies_is_let_through_to_the_builder() -> None:
    admitted = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {each for name, rest in stages()[0] if name == "COPY" for each in rest.split()[:-1]}
    assert copied == admitted


# --- compose.yaml -----------------------------------------------------------------------------------------------------


def services() -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def mounts() -> Iterator[tuple[Path, str]]:
    """(file, where a container sees it) of everything that is mounted from the repository."""
    for service in services().values():
        for volume in service.get("volumes", []):
            source, target = str(volume).split(":")[:2]
            if source.startswith("./"):
                yield DEPLOY / source, target


def test_docker_compose_takes_the_file() -> None:
    need("docker-compose")
    run("docker-compose", "-f", COMPOSE, "config", "-q")


def test_compose_has_three_members_three_nodes_and_eyes_on_them() -> None:
    assert sorted(services()) == ["etcd1", "etcd2", "etcd3", "grafana", "node1", "node2", "node3", "prometheus"]


def test_what_compose_mounts_is_there() -> None:
    found = list(mounts())
    assert len(found) > 6
    assert [source for source, _target in found if not source.exists()] == []


def test_every_variable_of_a_node_in_compose_is_a_flag_and_its_names_differ() -> None:
    known = {parameter.envvar for parameter in get_command(app).params}
    names = set()
    for name in ("node1", "node2", "node3"):
        environment = services()[name]["environment"]
        assert isinstance(environment, dict)
        assert set(environment) <= known
        names.add(environment["EVERLEASE_NAME"])
    assert names == {"node1", "node2", "node3"}


def test_a_members_variables_in_compose_are_the_recommended_ones() -> None:
    for name in ("etcd1", "etcd2", "etcd3"):
        environment = services()[name]["environment"]
        assert isinstance(environment, dict)
        shared = {key: str(environment[key]) for key in RECOMMENDED if key in environment}
        assert len(shared) > 3
        assert shared.items() <= RECOMMENDED.items()


def test_the_mounted_configurations_are_valid(tmp_path: Path) -> None:
    assert "valid" in run(
        Path(sys.executable).with_name("everlease"), "config", "validate", DEPLOY / "compose/office.yaml"
    )
    for source, target in mounts():
        if target.startswith("/etc/prometheus/"):
            shutil.copy(source, tmp_path / Path(target).name)
    assert "SUCCESS" in run("promtool", "check", "config", tmp_path / "prometheus.yml")
    provider = yaml.safe_load((DEPLOY / "compose/grafana-dashboards.yaml").read_text())["providers"][0]
    assert provider["options"]["path"] in {target for _source, target in mounts()}


# --- etcd -------------------------------------------------------------------------------------------------------------


@pytest.mark.etcd
def test_a_real_member_takes_every_recommended_variable(tmp_path: Path) -> None:
    clients, peers = free_ports(2)
    client, peer = f"http://127.0.0.1:{clients}", f"http://127.0.0.1:{peers}"
    environment = {
        **RECOMMENDED,
        "ETCD_DATA_DIR": str(tmp_path / "data"),
        "ETCD_NAME": "m1",
        "ETCD_LISTEN_CLIENT_URLS": client,
        "ETCD_ADVERTISE_CLIENT_URLS": client,
        "ETCD_LISTEN_PEER_URLS": peer,
        "ETCD_INITIAL_ADVERTISE_PEER_URLS": peer,
        "ETCD_INITIAL_CLUSTER": f"m1={peer}",
    }
    log = tmp_path / "etcd.log"
    member = Process(["etcd", "--logger", "zap"], log, environment)
    wait_until(lambda: b"serving client traffic" in log.read_bytes(), 20, "the member serves")
    assert member.stop() is not None
    told = log.read_text()
    for name in RECOMMENDED:
        assert re.search(rf"(?<!un)recognized and used environment variable.*{name}\b", told), name
    assert "unrecognized environment variable" not in told

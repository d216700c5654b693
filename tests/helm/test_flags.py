"""Every command line that the chart renders is one that the program takes, read by the program itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from everlease import settings as flags
from everlease.cli import config as config_commands
from everlease.cli import node as node_command
from everlease.config.load import load
from everlease.errors import ConfigError
from everlease.settings import Settings
from helm.chart import BASES, DOCUMENT, arguments, merged, nodes, of_kind, pods, render, switches
from helm.test_objects import CASES, objects

PLACE = {"POD_IP": "10.1.2.3", "NODE_NAME": "worker-1"}


class Read(Exception):
    """Carries what the command line came to, instead of running it."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that has `everlease node` read arguments as it does before it serves."""

    def stop(settings: Settings, _early: object) -> int:
        raise Read(settings)

    monkeypatch.setattr("everlease.node.run", stop)
    monkeypatch.setattr(node_command, "_early", lambda: None)  # nobody needs what would compile a document

    def parse(words: list[str]) -> Settings:
        with pytest.raises(Read) as caught:
            get_command(node_command.app).main(words, standalone_mode=False)
        return caught.value.settings

    return parse


def command_lines(case: str) -> Iterator[list[str]]:
    """The arguments of each replica, or of each group."""
    for each in nodes(objects(case)):
        for number in range(each["spec"].get("replicas", 1)):
            yield arguments(each, POD_NAME=f"{each['metadata']['name']}-{number}", **PLACE)


@pytest.mark.parametrize("case", CASES)
def test_every_nodes_flags_are_accepted(case: str, read: Any) -> None:
    for words in command_lines(case):
        settings = read(words)
        assert settings.admin == f"10.1.2.3:{CASES[case].get('admin', {}).get('port', 9067)}"
        assert bool(settings.links) == case.startswith("broadcast")
        assert bool(settings.listens) == case.startswith("relay")


def test_a_replica_names_its_own_load_balancer_and_answers_the_packets_source(read: Any) -> None:
    found = [read(words) for words in command_lines("relay-plain")]
    addresses = [flags.read_address("", f"192.0.2.{number}") for number in (11, 12, 13)]
    assert [each.server_identifier for each in found] == addresses
    assert [each.name for each in found] == [f"dhcp-everlease-{number}" for number in range(3)]
    assert {(each.answer_all, each.reply_to_source) for each in found} == {(False, True)}


def test_behind_one_address_all_replicas_answer_and_name_it(read: Any) -> None:
    found = [read(words) for words in command_lines("relay-shared")]
    assert {(each.answer_all, each.server_identifier) for each in found} == {
        (True, flags.read_address("", "192.0.2.11"))
    }


def test_an_identifier_for_other_nodes_only_is_refused() -> None:
    with pytest.raises(ConfigError, match="has no address for the node c"):
        flags.read_identifier("c", "a=192.0.2.1,b=192.0.2.2")
    with pytest.raises(ConfigError, match="has no address for the node c"):
        flags.read_identifier("c", "a=192.0.2.1,192.0.2.2")
    with pytest.raises(ConfigError, match="not an IPv4 address"):
        flags.read_identifier("a", "a=192.0.2")
    assert flags.read_identifier("b", "a=192.0.2.1, b=192.0.2.2") == flags.read_identifier("", "192.0.2.2")


def options_of(command: str) -> set[str]:
    """The options of a command of `everlease config`."""
    group = get_command(config_commands.app)
    return {name for parameter in group.commands[command].params for name in parameter.opts}  # type: ignore[attr-defined]


@pytest.mark.parametrize("case", [case for case in CASES if of_kind(objects(case), "Job")])
def test_the_jobs_command_is_one_that_the_program_knows(case: str) -> None:
    (job,) = of_kind(objects(case), "Job")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"][:3] == ["everlease", "config", "apply"]
    assert {word.split("=")[0] for word in container["args"]} <= options_of("apply")
    mounts = {each["mountPath"] for each in container["volumeMounts"]}
    assert str(Path(container["command"][3]).parent) in mounts


@pytest.mark.parametrize("case", CASES)
def test_environment_variables_are_those_of_the_program_and_none_is_a_nodes_flag_twice(case: str) -> None:
    known = {"EVERLEASE_SERVER", "EVERLEASE_CA", "EVERLEASE_CERT", "EVERLEASE_KEY", "NODE_NAME", "POD_NAME", "POD_IP"}
    own = {parameter.envvar for parameter in get_command(node_command.app).params}
    for _, pod in pods(objects(case)):
        names = {each["name"] for container in pod["spec"]["containers"] for each in container.get("env", [])}
        assert names <= known
        assert not names & own


@pytest.mark.parametrize("case", CASES)
def test_every_path_in_the_flags_is_in_a_volume(case: str) -> None:
    for each in nodes(objects(case)):
        (container,) = each["spec"]["template"]["spec"]["containers"]
        mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
        files = [word.split("=", 1)[1] for word in container["args"] if "=/etc/everlease/" in word]
        assert {str(Path(file).parent) for file in files} <= mounts


def test_the_rendered_document_passes_everlease_config_validate(tmp_path: Path) -> None:
    (config_map,) = of_kind(render(merged(BASES["relay"], switches("relay")["document"])), "ConfigMap")
    file = tmp_path / "everlease.yaml"
    file.write_text(config_map["data"]["everlease.yaml"])
    done = subprocess.run(
        [sys.executable, "-m", "everlease", "config", "validate", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert load(file.read_text()).subnets.keys() == {DOCUMENT["subnets"][0]["id"]}


@pytest.mark.parametrize("case", [case for case in CASES if of_kind(objects(case), "Job", "ConfigMap")])
def test_every_rendered_document_is_valid(case: str) -> None:
    documents = [
        each["data"]["everlease.yaml"]
        for each in of_kind(objects(case), "ConfigMap")
        if "everlease.yaml" in each.get("data", {})
    ]
    assert all(load(text).subnets for text in documents)

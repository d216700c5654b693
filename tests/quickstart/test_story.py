"""The quickstart's story, on both of its stages."""

from __future__ import annotations

from pathlib import Path

import pytest

from everlease.lab.netns import Lab
from everlease.lab.processes import LabError
from everlease.quickstart.clients import Binding
from everlease.quickstart.stage import Stage, loopback, namespaces
from everlease.quickstart.story import tell

PARTS = ["commit", "serve", "bound to", "the storage stops", "keeps", "a new client", "knows it", "serve again"]


def told(stage: Stage) -> list[str]:
    """Every line of the story."""
    lines: list[str] = []
    tell(stage, lines.append)
    return lines


def assert_whole(lines: list[str]) -> None:
    text = "\n".join(lines)
    places = [text.find(part) for part in PARTS]
    assert -1 not in places, text
    assert places == sorted(places)


@pytest.mark.root
def test_a_real_client_goes_on_while_its_server_and_the_stores_leader_are_stuck(lab: Lab) -> None:
    stage = namespaces(lab)
    lab.on_close(stage.stop)
    assert_whole(told(stage))


@pytest.mark.etcd
def test_without_root_the_same_story_is_told_on_loopback(tmp_path: Path) -> None:
    stage = loopback(tmp_path)
    try:
        assert_whole(told(stage))
    finally:
        stage.stop()


@pytest.mark.etcd
def test_the_story_does_not_claim_what_it_did_not_see(tmp_path: Path) -> None:
    stage = loopback(tmp_path)

    class Forgetful:
        program = "a client that changes its address"

        def bind(self) -> Binding:
            return Binding("10.77.16.1", "127.0.0.1", 0.0)

        def extend(self) -> Binding:
            return Binding("10.77.16.2", "127.0.0.1", 0.0)

    stage.new_client = Forgetful
    try:
        with pytest.raises(LabError, match=r"the client had 10\.77\.16\.1 and was given 10\.77\.16\.2"):
            tell(stage, lambda _: None)
    finally:
        stage.stop()

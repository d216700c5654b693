"""The short form of the incident: a disk frozen under each service, the same load, and who was answered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.wires import Wires
from checkout import ROOT, run
from incident import picture, report
from incident.account import Question, share
from incident.scenes import RATE, RENEWALS, SHORT, SHORT_SCENES, Play, Told

PAGE = ROOT / "docs" / "incident.md"


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Told]]:
    """Each service's short scene."""
    folder = tmp_path_factory.mktemp("incident")
    with Wires(folder, servers=3, loaders=2, prefix="in-") as wires:
        play = Play(wires, folder)
        yield {scene.system: play.tell(scene, SHORT) for scene in SHORT_SCENES}


def healthy(told: Told) -> list[Question]:
    return told.account.between(told.zero - SHORT.before, told.zero)


@pytest.mark.root
@pytest.mark.etcd
def test_everlease_answers_all_who_ask_later_than_the_first_moments_of_a_frozen_disk(played: dict[str, Told]) -> None:
    told = played["everlease"]
    assert share(report.settled(told)) >= report.WANTED, "\n".join(map(str, report.seconds(told)))
    assert (told.account.naks, told.account.twice) == (0, 0)
    assert len({question.by for question in report.settled(told) if question.answered}) == 3


@pytest.mark.root
@pytest.mark.etcd
@pytest.mark.parametrize("system", ["kea", "everlease"])
def test_both_were_asked_the_same_and_answered_it_before_the_fault(played: dict[str, Told], system: str) -> None:
    told = played[system]
    asked = len(report.during(told)) / (told.healed - told.zero)
    assert asked == pytest.approx(RATE + RENEWALS, rel=0.05)
    assert share(healthy(told)) >= 0.5  # a busy machine keeps some waiting, as it may; a service that is not there, all
    assert {question.renewal for question in report.during(told)} == {True, False}
    assert told.missed == 0


@pytest.mark.root
@pytest.mark.etcd
def test_the_report_shows_every_second_and_the_figure_of_each_scene(played: dict[str, Told], tmp_path: Path) -> None:
    told = list(played.values())
    text = report.page(told)
    assert [int(number) for number in re.findall(r"^\| ([+-]\d+) \|", text, re.MULTILINE)] == list(SHORT.seconds)
    for each in told:
        assert report.percent(share(report.during(each))) in text
        bars = [line.plain for line in report.lines(each)[1:]]
        assert [
            f"{second.asked} asked, {second.asked - second.silent} answered" for second in report.seconds(each)
        ] == [bar.rpartition("  ")[2] for bar in bars]
    picture.draw(told, tmp_path / "incident.png")
    assert (tmp_path / "incident.png").read_bytes().startswith(b"\x89PNG")


def test_the_readmes_command_plays_it() -> None:
    assert "`./tests/run.sh incident`" in (ROOT / "README.md").read_text()
    assert "usage: ./tests/run.sh incident" in run("./tests/run.sh", "incident", "--help")


def test_the_readme_quotes_the_page_and_the_page_has_its_picture() -> None:
    readme = (ROOT / "README.md").read_text().partition("## The incident")[2].partition("\n## ")[0]
    quoted = re.findall(r"[\d.]+ %", readme)
    assert quoted, "README quotes no figure"
    assert [figure for figure in quoted if figure not in PAGE.read_text()] == []
    assert PAGE.with_suffix(".png").read_bytes().startswith(b"\x89PNG")

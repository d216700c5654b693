"""The checker against bugs that were planted on purpose: it names each, and has nothing to say of the honest build."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from everlease.lab.netns import Lab
from faults.history.check import check, holds
from faults.history.model import History
from faults.planted.scenes import BUGS, Planted

pytestmark = [pytest.mark.root, pytest.mark.etcd]

SHORT = ("ack_before_commit", "second_address")
"""What every CI run tries; the others run by name: `./tests/run.sh planted`."""

SCENES = list(dict.fromkeys(bug.scene for bug in BUGS))


def listed(bug: Planted) -> object:
    return pytest.param(bug, id=bug.build, marks=[] if bug.build in SHORT else [pytest.mark.slow])


@pytest.mark.parametrize("bug", [listed(bug) for bug in BUGS])
def test_the_checker_names_what_a_planted_bug_breaks(lab: Lab, bug: Planted) -> None:
    found = check(bug.scene(lab, bug.build))
    assert {violation.id for violation in found} >= bug.breaks, "\n".join(map(str, found)) or "nothing was found"


@pytest.mark.slow
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_the_honest_build_breaks_nothing_in_the_same_scene(lab: Lab, scene: Callable[[Lab, str], History]) -> None:
    holds(scene(lab, ""))

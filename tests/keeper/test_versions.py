"""Versions of etcd: refused, warned about, or fine."""

from __future__ import annotations

import pytest

from everlease.store.versions import FAULTS, parse, refusal, warnings


@pytest.mark.parametrize("version", ["3.5.0", "3.5.1", "3.5.2", "3.5.2-rc.1"])
def test_versions_that_corrupt_data_are_refused(version: str) -> None:
    assert version in refusal(version)
    assert "13766" in refusal(version)


@pytest.mark.parametrize("version", ["3.3.27", "3.4.23", "3.5.3", "3.5.33", "3.6.0", "3.7.1", "4.0.0", "", "junk"])
def test_others_are_not(version: str) -> None:
    assert refusal(version) == ""


@pytest.mark.parametrize("version", ["3.5.33", "3.6.14", "3.7.1", "3.8.0"])
def test_current_versions_have_no_known_fault(version: str) -> None:
    assert warnings(version) == []


def test_debians_version_is_warned_about_with_every_fault_of_its_watches() -> None:
    told = warnings("3.4.23")
    assert [words for words in told if "watch" in words] == [fault.words for fault in FAULTS if "watch" in fault.words]
    assert "is no longer maintained" in told
    assert any("after its process was paused" in words for words in told)


@pytest.mark.parametrize(
    ("words", "last_with", "first_without"),
    [
        ("event of a watch twice", "3.4.23", "3.4.24"),
        ("back in time", "3.4.24", "3.4.25"),
        ("lose events of a watch after a compaction", "3.4.30", "3.4.31"),
        ("deletion at the revision", "3.4.35", "3.4.36"),
        ("from a future revision", "3.4.37", "3.4.38"),
        ("was paused", "3.4.41", "3.4.42"),
        ("was paused", "3.5.27", "3.5.28"),
        ("was paused", "3.6.8", "3.6.9"),
        ("pass its quota", "3.5.32", "3.5.33"),
        ("pass its quota", "3.6.13", "3.6.14"),
        ("pass its quota", "3.7.0", "3.7.1"),
        ("lose events of a watch after a compaction", "3.5.12", "3.5.13"),
    ],
)
def test_a_fault_ends_with_the_version_that_mends_it(words: str, last_with: str, first_without: str) -> None:
    assert any(words in fault for fault in warnings(last_with))
    assert not any(words in fault for fault in warnings(first_without))


def test_a_fault_begins_with_the_version_that_brought_it() -> None:
    assert not any("was paused" in fault for fault in warnings("3.4.19"))
    assert any("was paused" in fault for fault in warnings("3.4.20"))


def test_versions_are_read_as_etcd_writes_them() -> None:
    assert parse("3.5.13") == (3, 5, 13)
    assert parse("3.6.0-rc.2") == (3, 6, 0)
    assert parse("") == (0, 0, 0)

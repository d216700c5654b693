"""The drill's rules are the delivered ones, only faster."""

from __future__ import annotations

import re

import pytest

from observe.prometheus import DELIVERED, scaled

FILES = ("recording.yaml", "alerts.yaml", "prometheus.yaml")
DURATION = re.compile(r"\b\d+(?:ms|[smhd])\b")


def test_every_duration_is_divided_and_nothing_else() -> None:
    assert scaled("rate(x[5m]) * 24 * 3600 > 0.5", 30) == "rate(x[10000ms]) * 24 * 3600 > 0.5"
    assert scaled("  for: 2m\n", 30) == "  for: 4000ms\n"
    assert scaled("max_over_time(x:y[1h:1m])", 60) == "max_over_time(x:y[60000ms:1000ms])"
    assert scaled("within 5m of it, for: 3m to go", 30) == "within 5m of it, for: 3m to go"


@pytest.mark.parametrize("file", FILES)
def test_what_is_delivered_differs_by_its_durations_alone(file: str) -> None:
    text = (DELIVERED / file).read_text()
    assert DURATION.sub("", scaled(text)) == DURATION.sub("", text)
    assert scaled(text) != text
    assert not re.search(r"\[\d+[smhd]\]|^\s*(for|\w+_interval): *\d+[smhd]$", scaled(text), re.MULTILINE)

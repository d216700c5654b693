"""Gauges, counters and histograms from plain numbers, and Prometheus' text of them, slice by slice.

The law of this file: nothing here holds the loop; a family comes in slices of at most `SLICE` samples, and a slice
without samples is a pause.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, islice
from typing import Final

from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

from everlease.runtime.counters import Histogram

SLICE: Final = 200
"""Samples per slice: about 1 ms of work."""

Labels = dict[str, str]

V4: Final[Labels] = {"family": "v4"}
PAUSE: Final = Metric("pause", "", "gauge")
"""Yielded where the loop should turn although there is nothing to tell yet."""

Points = Iterable[tuple[Labels, float]]


def text(metrics: Iterable[Metric]) -> Iterator[bytes]:
    """Metrics as text; HELP and TYPE stand before the first slice of a family only."""
    previous = ""
    for metric in metrics:
        if not metric.samples:
            yield b""
            continue
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        lines = []
        if name != previous:
            previous = name
            lines += [f"# HELP {name} {_escape(metric.documentation)}\n", f"# TYPE {name} {metric.type}\n"]
        lines += [_line(sample) for sample in metric.samples]
        yield "".join(lines).encode()


def _line(sample: Sample) -> str:
    value: str = floatToGoString(sample.value)  # type: ignore[no-untyped-call]
    if not sample.labels:
        return f"{sample.name} {value}\n"
    labels = ",".join(f'{key}="{_escape(each, quotes=True)}"' for key, each in sample.labels.items())
    return f"{sample.name}{{{labels}}} {value}\n"


def _escape(value: str, *, quotes: bool = False) -> str:
    value = value.replace("\\", r"\\").replace("\n", r"\n")
    return value.replace('"', r"\"") if quotes else value


def _slices(name: str, kind: str, words: str, samples: Iterable[Sample]) -> Iterator[Metric]:
    rest = iter(samples)
    while True:
        metric = Metric(name, words, kind)
        metric.samples = list(islice(rest, SLICE))
        if not metric.samples:
            return
        yield metric


def gauge(name: str, words: str, points: Points) -> Iterator[Metric]:
    """A gauge; its name carries the unit."""
    return _slices(name, "gauge", words, (Sample(name, labels, value) for labels, value in points))


def counter(name: str, words: str, points: Points) -> Iterator[Metric]:
    """A counter, named without `_total`."""
    return _slices(name, "counter", words, (Sample(f"{name}_total", labels, value) for labels, value in points))


def histogram(name: str, words: str, series: Iterable[tuple[Labels, Histogram]]) -> Iterator[Metric]:
    """A histogram for each set of labels."""
    return _slices(name, "histogram", words, (each for labels, one in series for each in _buckets(name, labels, one)))


def _buckets(name: str, labels: Labels, histogram: Histogram) -> Iterator[Sample]:
    # One reading, for the loop may turn between two samples: the count is the sum of its buckets, always.
    running, total = list(accumulate(histogram.buckets)), histogram.total
    bounds = [*map(floatToGoString, histogram.bounds), "+Inf"]
    for bound, count in zip(bounds, running, strict=True):
        yield Sample(f"{name}_bucket", {**labels, "le": bound}, count)
    yield Sample(f"{name}_sum", labels, total)
    yield Sample(f"{name}_count", labels, running[-1])


def alone(value: float) -> Points:
    """One number without labels."""
    return [({}, value)]


def by(key: str, counts: Mapping[str, float]) -> Points:
    """Counts of IPv4 by one further label, as they are now."""
    return [({**V4, key: name}, value) for name, value in counts.items()]

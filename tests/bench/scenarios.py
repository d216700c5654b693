"""What is asked of every system, in the same order: latency at a fixed rate, the highest rate, and twice that rate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.capture import percentile
from bench.load import Bench, Measured, best, search
from bench.systems import Everlease, Kea, System
from bench.wires import Wires

FIXED_RATE = 1000  # exchanges per second at which latencies are compared
_MOST = 40_000  # more than the load client can send on two cores
_WARM_UP_RATE, _WARM_UP_S = 200, 2


@dataclass(frozen=True)
class Plan:
    """How long a step lasts, where the search begins, and rates to try instead of a search."""

    seconds: int = 5
    first: int = 1000
    rates: tuple[int, ...] = ()
    near: float = 1.06


@dataclass(frozen=True)
class Latency:
    """Milliseconds from DISCOVER to OFFER and from REQUEST to ACK, by the capture; `oldest` is the latest ACK sent."""

    offer_p50: float
    offer_p99: float
    ack_p50: float
    ack_p99: float
    oldest_ack: float


@dataclass(frozen=True)
class Row:
    """One system's results; rates in exchanges per second, CPU in seconds per 1,000 leases.

    limited: a higher rate than `peak` was tried and did not hold; else the peak may be higher still.
    """

    system: str
    durability: str
    peak: float
    limited: bool
    at_fixed: Latency
    overload_offered: float
    overload_goodput: float
    overload: Latency
    cpu: dict[str, float]
    twice: int
    missed: int
    steps: tuple[tuple[int, float, float], ...]


def systems(wires: Wires, folder: Path) -> dict[str, Callable[[], System]]:
    """Every system by the name that --systems takes."""
    return {
        "kea": lambda: Kea(wires.servers[:1], folder / "kea"),
        "kea-hot-standby": lambda: Kea(wires.servers[:2], folder / "kea-hot-standby"),
        "everlease-one": lambda: Everlease(wires.servers, folder / "everlease-one", asked=1),
        "everlease-three": lambda: Everlease(wires.servers, folder / "everlease-three", asked=3),
    }


def measure(name: str, system: System, bench: Bench, plan: Plan, tell: Callable[[str], None]) -> Row:
    """Run the whole story on a system that serves."""
    targets, pids = system.targets(), system.pids()
    bench.step(targets, _WARM_UP_RATE, _WARM_UP_S, pids)
    fixed = bench.step(targets, FIXED_RATE, plan.seconds, pids, capture=True)
    tell(f"{name}: {_line(fixed)}")

    def attempt(rate: int) -> Measured:
        step = bench.step(targets, rate, plan.seconds, pids)
        tell(f"{name}: {_line(step)}")
        return step

    steps = [attempt(rate) for rate in plan.rates] or search(attempt, plan.first, _MOST, plan.near)
    top = best(steps) or fixed
    over = bench.step(targets, int(2 * top.goodput), plan.seconds, pids, capture=True)
    tell(f"{name}: {_line(over)}")
    return Row(
        system=name,
        durability=system.durability,
        peak=top.goodput if top.held else 0.0,
        limited=any(step.rate > top.rate for step in steps if not step.held),
        at_fixed=_latency(fixed),
        overload_offered=over.offered,
        overload_goodput=over.goodput,
        overload=_latency(over),
        cpu=top.cpu_per_thousand(),
        twice=sum(step.report.twice for step in [fixed, *steps, over]),
        missed=sum(step.delays.missed for step in (fixed, over) if step.delays),
        steps=tuple((step.rate, step.goodput, step.report.lost) for step in steps),
    )


def _line(step: Measured) -> str:
    return f"{step.rate}/s asked, {step.goodput:.0f}/s bound, {step.report.lost:.1%} lost"


def _latency(step: Measured) -> Latency:
    seen = step.delays
    if seen is None:
        raise ValueError("latency needs a step with a capture")
    offers, acks = seen.offer, seen.ack
    shares = [percentile(offers, 0.5), percentile(offers, 0.99), percentile(acks, 0.5), percentile(acks, 0.99)]
    return Latency(*(value * 1e3 for value in shares), oldest_ack=max(acks, default=0.0) * 1e3)

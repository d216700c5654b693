"""Many clients, each of which behaves as real ones do; a process of their own in a namespace, steered from the test."""

from __future__ import annotations

from faults.client.load import LoadClient, Report
from faults.client.plan import Diary, Plan, Relayed
from lab.guest import FRESH, MIXED, PATIENT, QUICK, QUICK_FRESH, Behaviour

__all__ = [
    "FRESH",
    "MIXED",
    "PATIENT",
    "QUICK",
    "QUICK_FRESH",
    "Behaviour",
    "Diary",
    "LoadClient",
    "Plan",
    "Relayed",
    "Report",
]

"""Builds of the service with one bug planted, each a module: `python -m faults.planted.NAME node --name ...`.

Law: a module changes one thing, by replacing one function of the service before the node starts, and its first line
says what a programmer might have thought. A checker that lets one of the seven pass is not done.
"""

from __future__ import annotations

"""Crowds of clients, for every test here."""

from cluster.crowds import crowd_behind, crowd_on

__all__ = ["crowd_behind", "crowd_on"]

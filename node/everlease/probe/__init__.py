"""A DISCOVER sent as a client would send it: by hand (`everlease probe`), and by a node (`--rogue-probe`)."""

from everlease.probe.discover import PERIOD, WAIT, Offer, discover

__all__ = ["PERIOD", "WAIT", "Offer", "discover"]

"""The web page that a node serves beside its metrics: the cluster at a glance, read-only, for people."""

from everlease.console.site import Console

__all__ = ["Console"]

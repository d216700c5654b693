"""What Prometheus reads, made from the node's plain counters when it asks."""

from everlease.metrics.families import collect
from everlease.metrics.shapes import text
from everlease.metrics.usage import Usage, Usages

__all__ = ["Usage", "Usages", "collect", "text"]

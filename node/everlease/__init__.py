"""Everlease: a DHCP service that no single stuck disk, lock, process or host can stop."""

__version__ = "0.1.0"

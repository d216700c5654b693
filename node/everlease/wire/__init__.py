"""Bytes to values and back: DHCP messages, their options, relay information, domain names."""

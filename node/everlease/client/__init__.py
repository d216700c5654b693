"""A client of the admin API: thin, typed, and the only way in which the command line reaches a cluster."""

from everlease.client.errors import Problem, Refused, Unreachable
from everlease.client.sync import DEFAULT_SERVER, Client, Credentials

__all__ = ["DEFAULT_SERVER", "Client", "Credentials", "Problem", "Refused", "Unreachable"]

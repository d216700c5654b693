"""`everlease quickstart`: a whole cluster on this machine, a real client, and storage that stops under it.

As root it lives in network namespaces of its own, so that it can never answer on a real network; else on loopback
ports, with a client of our own.
"""

"""`./tests/run.sh bench-listing`: what a list of a million leases costs the clients that are served meanwhile.

It may move the 99th percentile of REQUEST to ACK by less than a fifth.
"""

from __future__ import annotations

import sys

from bench import beside

A_LIST = beside.Work("a list", "bench.lister", leases=1_000_000, rate=2000, may_move=0.2)

if __name__ == "__main__":
    sys.exit(beside.main(A_LIST, __doc__))

"""Lists every lease of a node, page by page, as fast as they come, again and again: `python -m bench.lister SERVER`.

Prints how many it has seen so far after every page; what it is interrupted in by SIGSTOP goes on.
"""

from __future__ import annotations

import sys

import grpc

from everlease.pb.admin.v1 import lease_service_pb2 as pb
from everlease.pb.admin.v1 import lease_service_pb2_grpc

PAGE = 1000


def main() -> None:
    """The command line."""
    seen, request = 0, pb.ListLeasesRequest(page_size=PAGE)
    with grpc.insecure_channel(sys.argv[1]) as channel:
        stub = lease_service_pb2_grpc.LeaseServiceStub(channel)
        while True:
            try:
                page = stub.ListLeases(request, timeout=120)
            except grpc.RpcError as error:
                sys.stderr.write(f"{error.code()}: {error.details()}\n")
                request.page_token = ""  # interrupted for too long: its revision is gone
                continue
            request.page_token = page.next_page_token
            seen += len(page.leases)
            sys.stdout.write(f"{seen}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()

"""Makes one backup of a node's cluster after the other: `python -m bench.saver SERVER`.

Prints how many leases it has saved so far after every piece; what it is interrupted in by SIGSTOP goes on.
"""

from __future__ import annotations

import sys

import grpc

from everlease.pb.admin.v1 import backup_service_pb2 as pb
from everlease.pb.admin.v1 import backup_service_pb2_grpc


def main() -> None:
    """The command line."""
    saved = before = 0
    with grpc.insecure_channel(sys.argv[1]) as channel:
        stub = backup_service_pb2_grpc.BackupServiceStub(channel)
        while True:
            try:
                for piece in stub.SaveBackup(pb.SaveBackupRequest()):
                    saved = before + piece.leases
                    sys.stdout.write(f"{saved}\n")
                    sys.stdout.flush()
            except grpc.RpcError as error:
                sys.stderr.write(f"{error.code()}: {error.details()}\n")
            before = saved


if __name__ == "__main__":
    main()

"""A client that has none of our code: what it knows, it was told by the server (reflection) or by the .proto files.

Law: nothing here imports `everlease`; messages are made at run time from descriptors.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

PROTO = Path(__file__).resolve().parents[2] / "proto"
PACKAGE = "everlease.admin.v1"


class Outsider:
    """Calls methods by name: `ask("LeaseService/GetLease", address="10.0.0.1")`; fields and answers are JSON's.

    pool: where it looks messages up; without one it asks the server.
    """

    def __init__(self, channel: grpc.Channel, pool: DescriptorPool | None = None) -> None:
        self._channel = channel
        self._pool = pool or DescriptorPool(ProtoReflectionDescriptorDatabase(channel))

    def ask(self, method: str, **fields: Any) -> dict[str, Any]:
        """The one answer. Raises grpc.RpcError."""
        path, request, encode, decode = self._prepared(method, fields)
        answer = self._channel.unary_unary(path, request_serializer=encode, response_deserializer=decode)
        return MessageToDict(answer(request, timeout=10))

    def follow(self, method: str, **fields: Any) -> Iterator[dict[str, Any]]:
        """Each answer of a stream; close the iterator to end it."""
        path, request, encode, decode = self._prepared(method, fields)
        stream = self._channel.unary_stream(path, request_serializer=encode, response_deserializer=decode)
        call = stream(request, timeout=60)
        try:
            for answer in call:
                yield MessageToDict(answer)
        finally:
            call.cancel()

    def _prepared(self, method: str, fields: dict[str, Any]) -> tuple[str, Any, Any, Any]:
        service, _, name = method.partition("/")
        described = self._pool.FindServiceByName(f"{PACKAGE}.{service}").FindMethodByName(name)
        request = ParseDict(fields, GetMessageClass(described.input_type)())
        return f"/{PACKAGE}.{method}", request, _encode, GetMessageClass(described.output_type).FromString


def _encode(message: Any) -> bytes:
    return message.SerializeToString()


@cache
def described_by_files() -> FileDescriptorSet:
    """What any protobuf compiler makes of the .proto files of the admin API."""
    files = [str(path.relative_to(PROTO)) for path in sorted(PROTO.rglob("admin/v1/*.proto"))]
    with TemporaryDirectory() as folder:
        out = Path(folder, "set")
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", "--include_imports"]
        subprocess.run([*command, f"--descriptor_set_out={out}", *files], cwd=PROTO, check=True)
        return FileDescriptorSet.FromString(out.read_bytes())


def pool_of_files() -> DescriptorPool:
    """The same, to make messages from."""
    pool = DescriptorPool()
    for file in described_by_files().file:
        pool.Add(file)
    return pool


def services_of_files() -> dict[str, set[str]]:
    """Full names of the services, and their methods."""
    return {
        f"{file.package}.{service.name}": {method.name for method in service.method}
        for file in described_by_files().file
        for service in file.service
    }

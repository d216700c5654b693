"""A host with an etcd of its own, on which nodes are started that must not run: what they said, what they left."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

from everlease.lab.etcd import EtcdCluster
from everlease.lab.netns import Lab, Namespace
from everlease.lab.processes import Process
from everlease.store.keys import Keys
from everlease.store.records import Current, encode
from lab.nodes import Node

GOOD = "schema: 1\nsubnets: [{id: 1, prefix: 10.77.0.0/16, pools: [{range: 10.77.16.0/24}]}]\n"
KEYS = Keys()
LISTEN = ("--listen", "10.77.0.2")


@dataclass(frozen=True)
class Refusal:
    """code: of exit; said: its lines on standard error that are no log lines."""

    code: int
    said: list[str]


class Host:
    """10.77.0.2/16 on eth0, a member of etcd on loopback, and a folder with files good and bad."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.nodes: list[Node] = []
        self.place: Namespace = lab.namespace("host")
        lab.switch().connect(self.place, "eth0", address="10.77.0.2/16")
        self.etcd = EtcdCluster(lab.folder / "etcd", places=[(self.place, "127.0.0.1")])
        lab.on_close(self.etcd.stop)
        lab.on_close(self.clear)
        self.etcd.start()
        self.plain = self.etcd.endpoints[0]
        self.secure = self.plain.replace("http:", "https:")
        self._certify("one")
        self._certify("two")
        self.file("good.yaml", GOOD)
        self.file("junk.pem", "junk\n")

    def file(self, name: str, text: str | bytes = "") -> str:
        """A file's path; with a text it is written first."""
        path = self.lab.folder / name
        if text:
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    def _certify(self, name: str) -> None:
        files = ("-keyout", self.file(f"{name}.key"), "-out", self.file(f"{name}.pem"))
        what = ("-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
        names = ("-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1")
        subprocess.run(["openssl", "req", *what, *files, *names], check=True, capture_output=True)

    def start(self, *flags: str, under: tuple[str, ...] = ()) -> Refusal:
        """Start a node that must refuse, and wait for its end."""
        argv = [*under, "env", "COLUMNS=300", sys.executable, "-m", "everlease", "node", "--name", "n", *flags]
        log = self.lab.folder / f"refused-{len(list(self.lab.folder.iterdir()))}.log"
        code = Process(self.place.command(argv), log).wait(30)
        return Refusal(code, [line for line in log.read_text().splitlines() if not line.startswith("{")])

    def node(self, document: str = "") -> Node:
        """A node on eth0 that may wait, with a document to apply or without; `clear` ends it."""
        file = Path(self.file(document)) if document else None
        name = f"n{len(self.nodes)}"
        node = Node(self.lab.folder, self.place, name, self.etcd.endpoints, interfaces=["eth0"], document=file)
        self.nodes.append(node)
        return node.start().wait_alive()

    def clear(self) -> None:
        """No node runs, and nothing of ours is in etcd."""
        for node in self.nodes:
            node.kill()
        self.etcd.etcdctl("del", "--prefix", "/everlease/")

    def keys(self, prefix: str = "") -> list[str]:
        """Every key in etcd below a prefix, and the revision of each."""
        fields = self.etcd.etcdctl("get", "--prefix", prefix, "-w", "fields").splitlines()
        return [line for line in fields if line.startswith(('"Key"', '"ModRevision"'))]

    def put(self, key: bytes, value: bytes) -> None:
        """Somebody else writes to etcd."""
        file = self.file("value", value)
        command = f"ETCDCTL_API=3 etcdctl --endpoints={self.plain} put {key.decode()} < {file}"
        self.place.run("sh", "-c", command)

    def publish(self, revision: int, text: str) -> None:
        """Somebody else puts a document in force without asking whether a node can load it."""
        packed = zlib.compress(text.encode())
        record = encode(Current(revision, 1, digest=hashlib.sha256(text.encode()).hexdigest()))
        self.put(KEYS.config_chunk(revision, 0), packed)
        self.put(KEYS.config_note(revision), record)
        self.put(KEYS.config_current, record)

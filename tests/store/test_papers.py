"""etcd behind TLS: who is let in, and certificates that are replaced while the node works (F19)."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from everlease.errors import ConfigError
from everlease.lab.etcd import free_ports
from everlease.lab.processes import Process, run
from everlease.store import etcd as client
from everlease.store.api import Unavailable
from everlease.store.channel import Credentials
from everlease.store.etcd import EtcdStore
from everlease.store.keys import Keys
from everlease.store.txn import Leaf, single
from store.makers import grant, request
from store.witness import Witness, now

pytestmark = pytest.mark.etcd
KEYS = Keys("/test")
A = 0x0A4D0001
HARMLESS = single(Leaf({b"/nothing": 0}))


def certificate(folder: Path, name: str, signer: str = "") -> None:
    """name.key and name.crt for 127.0.0.1, signed by `signer` or by itself."""
    key, crt = folder / f"{name}.key", folder / f"{name}.crt"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    by = ["-CA", str(folder / f"{signer}.crt"), "-CAkey", str(folder / f"{signer}.key")] if signer else []
    extensions = (
        [] if not signer else ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"]
    )
    run([*make, "-keyout", str(key), "-out", str(crt), "-days", "2", "-subj", f"/CN={name}", *by, *extensions])


@pytest.fixture
def secured(tmp_path: Path) -> AsyncIterator[str]:
    """The endpoint of a member that wants a certificate of its own authority; the files lie in tmp_path."""
    certificate(tmp_path, "ca")
    certificate(tmp_path, "server", "ca")
    certificate(tmp_path, "node", "ca")
    certificate(tmp_path, "stranger")
    client, peer = free_ports(2)
    url = f"https://127.0.0.1:{client}"
    argv = [
        "etcd", f"--data-dir={tmp_path / 'data'}", f"--listen-client-urls={url}", f"--advertise-client-urls={url}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}", f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-cluster=default=http://127.0.0.1:{peer}", f"--cert-file={tmp_path / 'server.crt'}",
        f"--key-file={tmp_path / 'server.key'}", f"--trusted-ca-file={tmp_path / 'ca.crt'}", "--client-cert-auth",
    ]  # fmt: skip
    process = Process(argv, tmp_path / "etcd.log")
    yield url
    process.kill()


def files(folder: Path, name: str) -> Credentials:
    return Credentials(folder / "ca.crt", folder / f"{name}.crt", folder / f"{name}.key")


async def test_mutual_tls_lets_in_who_has_a_certificate_and_nobody_else(secured: str, tmp_path: Path) -> None:
    store = EtcdStore([secured], files(tmp_path, "node"))
    async with asyncio.timeout(15):
        while True:
            try:
                assert (await store.batch(request(KEYS, grant(A)), 1.0)).revision
                break
            except Unavailable:
                await asyncio.sleep(0.1)
    stranger = EtcdStore([secured], files(tmp_path, "stranger"))
    with pytest.raises(Unavailable):
        await stranger.batch(HARMLESS, 1.0)
    certificate(tmp_path, "node", "ca")  # rotated
    await store.reread()
    assert (await store.batch(HARMLESS, 2.0)).results[0].succeeded
    with pytest.raises(ConfigError, match=r"missing\.crt"):
        EtcdStore([secured], files(tmp_path, "missing"))
    for one in (store, stranger):
        await one.close()


def test_certificates_that_are_replaced_under_load_cost_no_commit_and_no_event(secured: str, tmp_path: Path) -> None:
    witness = Witness(tmp_path, [secured], rate=100, tls=tmp_path)
    started = now()
    for _ in range(3):
        certificate(tmp_path, "node", "ca")
        witness.process.signal(signal.SIGHUP)
        witness.wait_for_commits(150)
    time.sleep(client.LEAVE_AFTER)  # the old connections go, and with them the watch moves
    witness.wait_for_commits(100)
    witness.stop()
    assert len(witness.committed()) == len(witness.changes())
    assert witness.longest_gap(started) < 1
    assert witness.lag(started) < 2
    witness.assert_nothing_lost_or_doubled()
    assert witness.count("loads") == 1


async def test_replaced_certificates_are_noticed_without_being_told(
    secured: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAPERS_EVERY", 0.1)
    store = EtcdStore([secured], files(tmp_path, "node"))
    store.start_probing()
    before = store._channels[secured]
    await asyncio.sleep(0.3)
    assert store._channels[secured] is before
    assert 1.9 < (store.certificate_ends() - time.time()) / 86400 < 2.1
    (tmp_path / "node.key").write_text("half of a")  # being written: the old one goes on
    await asyncio.sleep(0.3)
    assert store._channels[secured] is before
    certificate(tmp_path, "node", "ca")
    async with asyncio.timeout(10):
        while store._channels[secured] is before:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await store.close()

"""Authorities, certificates, tokens and roles files, as an operator's tools make them."""

from __future__ import annotations

import subprocess
from hashlib import sha256
from pathlib import Path

_NEW = ("-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
_PAST = ("faketime", "2020-01-01 00:00:00")


def openssl(folder: Path, *words: str, past: bool = False) -> None:
    """Run openssl; past: as if it were 2020, so that what it signs for days has ended."""
    command = [*(_PAST if past else ()), "openssl", *words]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def authority(folder: Path, name: str) -> None:
    """A key and a certificate that signs others: NAME.key, NAME.pem."""
    subject = ("-subj", f"/CN={name}", "-days", "2")
    openssl(folder, "req", "-x509", *subject, *_NEW, "-keyout", f"{name}.key", "-out", f"{name}.pem")


def leaf(folder: Path, name: str, signer: str, *, names: str = "IP:127.0.0.1", expired: bool = False) -> None:
    """A key and a certificate, signed. names: its subject alternative names, as openssl writes them."""
    openssl(folder, "req", *_NEW, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
    (folder / "san").write_text(f"subjectAltName={names}\n")
    signing = ("-CA", f"{signer}.pem", "-CAkey", f"{signer}.key", "-CAcreateserial", "-extfile", "san", "-days", "2")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", *signing, "-out", f"{name}.pem", past=expired)


def token_row(name: str, role: str, token: str, expires: str = "") -> str:
    """A token's line in a roles file."""
    end = f", expires: {expires}" if expires else ""
    return f"  - {{name: {name}, role: {role}, sha256: {sha256(token.encode()).hexdigest()}{end}}}\n"

"""Certificates and keys as files: read, and looked at before gRPC, which would only say that it cannot connect.

Law: whatever is wrong with a file is one ConfigError that names it.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from everlease.errors import ConfigError

Octets = tuple[bytes | None, bytes | None, bytes | None]


def read(ca: Path | None, cert: Path | None, key: Path | None) -> Octets:
    """What the files hold, None for none. Raises ConfigError for one that cannot be read or used."""
    found = _octets(ca), _octets(cert), _octets(key)
    if ca is not None:
        _check_authority(ca)
    if cert is not None and key is not None:
        _check_pair(cert, key)
    return found


def _octets(path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path is not None else None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error


def _check_authority(ca: Path) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(ca)
    except ssl.SSLError as error:
        raise ConfigError(f"{ca} holds no certificates in PEM form") from error


def _check_pair(cert: Path, key: Path) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")  # never ask the terminal
    except ssl.SSLError as error:
        reason = (error.reason or "cannot be used").replace("_", " ").lower()
        raise ConfigError(f"{cert} and {key} are not a certificate and its key in PEM form ({reason})") from error

"""Certificates and keys as files: read, and looked at before they are used, when one could only say "cannot connect".

Law: whatever is wrong with a file is one ConfigError that names it.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from everlease.errors import ConfigError

_VERSION, _UTC_TIME = 0xA0, 0x17
_VALIDITY = 3
"""Serial number, algorithm and issuer come before it."""

Octets = tuple[bytes | None, bytes | None, bytes | None]


def read(ca: Path | None, cert: Path | None, key: Path | None) -> Octets:
    """What the files hold, None for none. Raises ConfigError for one that cannot be read or used."""
    found = _octets(ca), _octets(cert), _octets(key)
    if ca is not None:
        _check_authority(ca)
    if cert is not None and key is not None:
        _check_pair(cert, key)
    return found


def ends(cert: Path) -> float:
    """When the first certificate of a file is no longer valid, seconds UTC (RFC 5280, 4.1.2.5). Raises ConfigError."""
    try:
        der = ssl.PEM_cert_to_DER_cert(_first_block(cert.read_text("ascii")))
        body = _parts(next(iter(_parts(der)))[1])
        fields = [each for each in _parts(next(body)[1]) if each[0] != _VERSION]
        tag, words = list(_parts(fields[_VALIDITY][1]))[1]
    except (OSError, ValueError, IndexError, StopIteration) as bad:
        raise ConfigError(f"{cert}: not a certificate in PEM form") from bad
    form = "%y%m%d%H%M%SZ" if tag == _UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.strptime(words.decode("ascii"), form).replace(tzinfo=UTC).timestamp()


def _first_block(text: str) -> str:
    end = text.index(ssl.PEM_FOOTER) + len(ssl.PEM_FOOTER)
    return text[text.index(ssl.PEM_HEADER) : end]


def _parts(der: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, contents) of the values that lie in DER one after the other."""
    while der:
        tag, length, start = der[0], der[1], 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(der[2:start], "big")
        yield tag, der[start : start + length]
        der = der[start + length :]


def look(files: tuple[Path, ...]) -> tuple[object, ...]:
    """What changes when one of the files is replaced; a file that is not there is None. Waits for the disk."""
    return tuple(map(_identity, files))


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def context(ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    """What a client checks its server with (without `ca`: the system's authorities). Raises ConfigError as `read`."""
    read(ca, cert, key)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca is not None:
        made.load_verify_locations(ca)
    else:
        made.load_default_certs()
    if cert is not None and key is not None:
        made.load_cert_chain(cert, key)
    return made


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

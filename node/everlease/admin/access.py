"""Who a caller of the admin API is: by token, by certificate, or by where he connects.

The law of this file: credentials that are shown and wrong are refused, whatever else would have let the caller in.
Files are read in a thread, and what cannot be used leaves in force what was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from math import inf
from pathlib import Path
from typing import Final

import grpc

from everlease import logs
from everlease.admin import roles
from everlease.admin.auth import Caller, Role, Shown, Unknown
from everlease.errors import ConfigError
from everlease.store import pem

FOLLOWED_EVERY: Final = 2.0
"""Seconds between two looks at the files."""

SHORTEST: Final = 32
"""Characters of a token: hashes without salt keep only secrets that nobody can guess."""


@dataclass(frozen=True, slots=True)
class Papers:
    """PEM files and the roles file of the admin API. ca: clients must show a certificate of it."""

    cert: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    roles: Path | None = None

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.files())

    def files(self) -> tuple[Path, ...]:
        """Those that there are."""
        return tuple(path for path in (self.cert, self.key, self.ca, self.roles) if path is not None)


def is_loopback(address: str) -> bool:
    """Whether "HOST:PORT" can be reached only from the machine itself."""
    host = address.rpartition(":")[0].removeprefix("[").removesuffix("]")
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class Doorkeeper:
    """`guard.Access` by the papers. now: seconds UTC; local: whether the address is a loopback one.

    Without a roles file everybody who gets as far as a call is admin: on loopback, with a certificate of the CA, or
    because `--admin-insecure` said so. ends: when the own certificate does, seconds UTC.
    """

    def __init__(self, papers: Papers, local: bool, now: Callable[[], float]) -> None:
        self._papers = papers
        self._local = local
        self._now = now
        self._roles: roles.Roles | None = None
        self._certificate: tuple[bytes | None, bytes | None, bytes | None] = (None, None, None)
        self.edition = 0
        self.ends = inf
        self.read()

    def read(self) -> None:
        """All files, now. Raises ConfigError, and changes nothing then."""
        papers = self._papers
        found = roles.read(papers.roles) if papers.roles else None
        self._certificate = pem.read(papers.ca, papers.cert, papers.key)
        self.ends = pem.ends(papers.cert) if papers.cert else inf
        self._roles = found
        self.edition += 1

    async def follow(self) -> None:
        """Read the files when one of them changes; without end."""
        files = self._papers.files()
        known = await asyncio.to_thread(pem.look, files)
        while True:
            await asyncio.sleep(FOLLOWED_EVERY)
            seen = await asyncio.to_thread(pem.look, files)
            if seen != known:
                known = seen
                await self.reread()

    async def reread(self) -> None:
        """All files again, without a disturbance of those who are connected; tells the log how it went."""
        try:
            await asyncio.to_thread(self.read)
        except ConfigError as unusable:
            logs.get().error("admin papers not read again", reason=str(unusable))
        else:
            logs.get().info("admin papers read again")

    # --- the connection -----------------------------------------------------------------------------------------------

    def credentials(self) -> grpc.ServerCredentials | None:
        """For gRPC, which asks again for each connection; None = without TLS."""
        if self._papers.cert is None:
            return None
        given = self._certificate

        def newer() -> grpc.ServerCertificateConfiguration | None:
            nonlocal given
            if self._certificate is given:
                return None
            given = self._certificate
            return _configuration(given)

        return grpc.dynamic_ssl_server_credentials(_configuration(given), newer, self._papers.ca is not None)

    # --- the call -----------------------------------------------------------------------------------------------------

    def identify(self, shown: Shown) -> Caller:
        """Who calls. Raises Unknown."""
        if shown.authorization:
            return self._bearer(shown.authorization)
        if self._papers.ca is not None:
            return self._certified(shown.names)
        if self._local and self._papers.cert is None:
            role = self._roles.loopback if self._roles else Role.ADMIN
            if role:
                return Caller("local", role)
        elif self._roles is None:
            return Caller("anybody", Role.ADMIN)
        raise Unknown("no credentials: send a token, as metadata `authorization: Bearer TOKEN`")

    def beside(self, shown: Sequence[str]) -> Role:
        """The role of somebody on this very machine who asks by another port of the node, without TLS.

        shown: values of its `authorization` headers. Who would need a certificate here has none to show there.
        """
        try:
            if shown:
                return self._bearer(shown).role
        except Unknown:
            return Role.ANYBODY
        if self._papers.ca is not None:
            return Role.ANYBODY
        if self._roles is None:
            return Role.ADMIN
        return self._roles.loopback if self._local and self._papers.cert is None else Role.ANYBODY

    def _bearer(self, shown: Sequence[str | bytes]) -> Caller:
        scheme, _, secret = str(shown[0]).partition(" ")
        if len(shown) > 1 or scheme.lower() != "bearer":
            raise Unknown("credentials that are no token: write one `authorization: Bearer TOKEN`")
        if len(secret) < SHORTEST:
            raise Unknown(f"the token is too short: {SHORTEST} characters at least, such as of `openssl rand -hex 32`")
        token = self._roles.token(secret) if self._roles else None
        if token is None:
            raise Unknown("nobody has this token here")
        if token.expires is not None and token.expires <= self._now():
            raise Unknown(f"the token {token.name} has expired")
        return Caller(f"token:{token.name}", token.role)

    def _certified(self, names: Sequence[str]) -> Caller:
        return Caller(names[0] if names else "a certificate without a name", self._role_of(names))

    def _role_of(self, names: Sequence[str]) -> Role:
        return Role.ADMIN if self._roles is None else self._roles.of_names(names)


def _configuration(papers: tuple[bytes | None, bytes | None, bytes | None]) -> grpc.ServerCertificateConfiguration:
    root, cert, key = papers
    return grpc.ssl_server_certificate_configuration([(key, cert)], root)

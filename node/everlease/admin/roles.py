"""The roles file (`--admin-roles`): whose certificate and whose token has which role.

The law of this file: tokens are not in it, only their SHA-256; a file with anything wrong in it changes nothing.

    loopback: viewer                  # who connects without TLS to a loopback address; admin by default, none = nobody
    certificates:                     # the first that fits; * stands for any text
      - {match: "CN:ops-*", role: operator}
      - {match: "URI:spiffe://example.org/monitoring", role: viewer}
    tokens:                           # made by: openssl rand -hex 32 | tee ci.token | tr -d '\\n' | sha256sum
      - {name: ci, role: operator, sha256: 5e88...d8, expires: 2027-06-30}
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

from everlease.admin.auth import Role
from everlease.config import text as texts
from everlease.config.problems import InvalidDocument
from everlease.errors import ConfigError

LARGEST: Final = 1 << 20
"""Octets of a roles file."""

KINDS: Final = ("CN", "DNS", "URI", "EMAIL", "IP")
"""Of names in a certificate: the subject's common name, and the subject alternative names by their kind."""

_HEX: Final = re.compile(r"[0-9a-f]{64}")
_ROLES: Final = {role.word: role for role in Role}
_NAME: Final = re.compile(r"[A-Za-z0-9._@-]{1,64}")


@dataclass(frozen=True, slots=True)
class Token:
    """Who shows the token with this hash. expires: seconds UTC, None = never."""

    name: str
    role: Role
    expires: float | None


class Roles:
    """What a roles file says. loopback: of who connects without TLS from the machine itself."""

    def __init__(self, loopback: Role, rules: Sequence[tuple[re.Pattern[str], Role]], tokens: dict[bytes, Token]):
        self.loopback = loopback
        self._rules = rules
        self._tokens = tokens

    def of_names(self, names: Sequence[str]) -> Role:
        """Of a certificate with these names, such as "CN:anna"; ANYBODY = none."""
        for pattern, role in self._rules:
            if any(pattern.fullmatch(name) for name in names):
                return role
        return Role.ANYBODY

    def token(self, secret: str) -> Token | None:
        """The token, by its hash: what the look-up's time tells of that is of no use."""
        return self._tokens.get(sha256(secret.encode()).digest())


def read(path: Path) -> Roles:
    """What the file says. Raises ConfigError that names everything wrong with it, and quotes nothing."""
    try:
        with path.open("rb") as file:
            octets = file.read(LARGEST + 1)
        if len(octets) > LARGEST:
            raise ConfigError(f"{path}: longer than {LARGEST:,} octets")
        tree, twice = texts.read(octets.decode())
        if twice:
            raise texts.located(tree, twice)
        return _roles(_File.model_validate(tree))
    except InvalidDocument as bad:
        raise ConfigError(f"{path}: line {bad.problems[0].line} cannot be read as YAML") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (octet {error.start})") from error
    except ValidationError as wrong:
        words = "; ".join(f"{_place(each['loc'])}: {each['msg']}" for each in wrong.errors(include_input=False)[:20])
        raise ConfigError(f"{path}: {words}") from None
    except ConfigError as wrong:
        raise ConfigError(f"{path}: {wrong}") from None


def _role(word: object) -> Role:
    if isinstance(word, str) and word in _ROLES:
        return _ROLES[word]
    raise ValueError(f"write one of {', '.join(_ROLES)}")


def _pattern(text: str) -> str:
    kind, colon, rest = text.partition(":")
    if not colon or kind not in KINDS or not rest:
        raise ValueError(f"write KIND:NAME, where KIND is one of {', '.join(KINDS)}")
    return text


def _hash(text: str) -> str:
    if not _HEX.fullmatch(text):
        raise ValueError("write the SHA-256 of the token: 64 hexadecimal digits in lower case, never the token itself")
    return text


def _token_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("at most 64 letters, digits, '.', '_', '@' and '-'")
    return text


def _end(value: object) -> float | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError("write a date or a time, like 2027-06-30 or 2027-06-30T12:00:00Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


_Role = Annotated[Role, BeforeValidator(_role)]


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    match: Annotated[str, AfterValidator(_pattern)]
    role: _Role


class _Token(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    name: Annotated[str, AfterValidator(_token_name)]
    role: _Role
    sha256: Annotated[str, AfterValidator(_hash)]
    expires: Annotated[float | None, BeforeValidator(_end)] = None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    loopback: _Role = Role.ADMIN
    certificates: list[_Rule] = []
    tokens: list[_Token] = []


def _roles(file: _File) -> Roles:
    rules = [(re.compile(".*".join(map(re.escape, rule.match.split("*")))), rule.role) for rule in file.certificates]
    tokens = {bytes.fromhex(each.sha256): Token(each.name, each.role, each.expires) for each in file.tokens}
    if len(tokens) < len(file.tokens):
        raise ConfigError("tokens: the same hash is given twice")
    if len({each.name for each in file.tokens}) < len(file.tokens):
        raise ConfigError("tokens: the same name is given twice; the audit names callers by it")
    return Roles(file.loopback, rules, tokens)


def _place(path: tuple[int | str, ...]) -> str:
    """Of what is wrong; a key that we do not know may be a secret that slipped."""
    known = _File.model_fields.keys() | _Rule.model_fields.keys() | _Token.model_fields.keys()
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" if part in known else ".?" for part in path)
    return "".join(parts).lstrip(".") or "the file"

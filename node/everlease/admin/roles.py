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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from everlease.admin.auth import Role
from everlease.config.problems import InvalidDocument
from everlease.errors import ConfigError

LARGEST: Final = 1 << 20
"""Octets of a roles file."""

KINDS: Final = ("CN", "DNS", "URI", "EMAIL", "IP")
"""Of names in a certificate: the subject's common name, and the subject alternative names by their kind."""

MOST_SHOWN: Final = 20
"""Faults that one line names."""

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
    from everlease.config import text as texts  # noqa: PLC0415  (YAML: only where there is such a file)

    try:
        with path.open("rb") as file:
            octets = file.read(LARGEST + 1)
        if len(octets) > LARGEST:
            raise ConfigError(f"longer than {LARGEST:,} octets")
        tree, twice = texts.read(octets.decode())
        if twice:
            raise texts.located(tree, twice)
        return _roles(tree)
    except InvalidDocument as bad:
        raise ConfigError(f"{path}: line {bad.problems[0].line} cannot be read as YAML") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (octet {error.start})") from error
    except ConfigError as wrong:
        raise ConfigError(f"{path}: {wrong}") from None


# --- values: each returns what is meant, or raises ValueError that says what to write ---------------------------------


def _role(word: object) -> Role:
    if isinstance(word, str) and word in _ROLES:
        return _ROLES[word]
    raise ValueError(f"write one of {', '.join(_ROLES)}")


def _pattern(text: object) -> re.Pattern[str]:
    kind, _, rest = text.partition(":") if isinstance(text, str) else ("", "", "")
    if kind not in KINDS or not rest:
        raise ValueError(f"write KIND:NAME, where KIND is one of {', '.join(KINDS)}")
    return re.compile(".*".join(map(re.escape, f"{kind}:{rest}".split("*"))))


def _hash(text: object) -> bytes:
    if not isinstance(text, str) or not _HEX.fullmatch(text):
        raise ValueError("write the SHA-256 of the token: 64 hexadecimal digits in lower case, never the token itself")
    return bytes.fromhex(text)


def _token_name(text: object) -> str:
    if not isinstance(text, str) or not _NAME.fullmatch(text):
        raise ValueError("write at most 64 letters, digits, '.', '_', '@' and '-'")
    return text


def _end(value: object) -> float | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError("write a date or a time, like 2027-06-30 or 2027-06-30T12:00:00Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("write a list")
    return value


# --- mappings ---------------------------------------------------------------------------------------------------------

_Keys = Mapping[str, Callable[[object], Any]]

_FILE: Final[_Keys] = {"loopback": _role, "certificates": _list, "tokens": _list}
_RULE: Final[_Keys] = {"match": _pattern, "role": _role}
_TOKEN: Final[_Keys] = {"name": _token_name, "role": _role, "sha256": _hash, "expires": _end}
_OPTIONAL: Final = frozenset((*_FILE, "expires"))


def _roles(tree: object) -> Roles:
    """Raises ConfigError that names everything wrong."""
    wrong: list[str] = []
    file = _mapping(tree, "", _FILE, wrong)
    rules, rows = (
        [_mapping(row, f"{key}[{place}]", keys, wrong) for place, row in enumerate(file.get(key, ()))]
        for key, keys in (("certificates", _RULE), ("tokens", _TOKEN))
    )
    if wrong:
        raise ConfigError("; ".join(wrong[:MOST_SHOWN]))
    tokens = {row["sha256"]: Token(row["name"], row["role"], row.get("expires")) for row in rows}
    if len(tokens) < len(rows):
        raise ConfigError("tokens: the same hash is given twice")
    if len({each.name for each in tokens.values()}) < len(rows):
        raise ConfigError("tokens: the same name is given twice; the audit names callers by it")
    return Roles(file.get("loopback", Role.ADMIN), [(rule["match"], rule["role"]) for rule in rules], tokens)


def _mapping(given: object, place: str, keys: _Keys, wrong: list[str]) -> dict[str, Any]:
    """What its keys mean; what is wrong joins `wrong`, which never quotes: a key may be a secret that slipped."""
    if not isinstance(given, dict):
        wrong.append(f"{place}: write a mapping of {', '.join(keys)}")
        return {}
    found = {}
    for key, read_value in keys.items():
        try:
            if key in given:
                found[key] = read_value(given[key])
            elif key not in _OPTIONAL:
                raise ValueError("it is missing")
        except ValueError as error:
            wrong.append(f"{place}{'.' if place else ''}{key}: {error}")
    if given.keys() - keys.keys():
        wrong.append(f"{place or 'the file'}: there is another key than {', '.join(keys)}")
    return found

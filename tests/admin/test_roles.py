"""The roles file: everything wrong with it is named at once, with its place, and nothing of it is quoted."""

from __future__ import annotations

from pathlib import Path

import pytest

from everlease.admin import roles
from everlease.errors import ConfigError

SECRET = "b2c9f1d0a7"
HASH, OTHER = "0123456789abcdef" * 4, "fedcba9876543210" * 4
WRONG = {
    "": "line 1 cannot be read as YAML",
    "[1]\n": "line 1 cannot be read as YAML",
    "loopback: 7\n": "loopback: write one of none, viewer, operator, admin",
    "tokens:\n": "tokens: write a list",
    f"{SECRET}: x\n": "the file: there is another key than loopback, certificates, tokens",
    f"tokens: [{SECRET}]\n": "tokens[0]: write a mapping of name, role, sha256, expires",
    f"tokens: [{{name: ci, role: admin, sha256: {SECRET}}}]\n": "tokens[0].sha256: write the SHA-256 of the token",
    f"tokens: [{{name: ci, role: admin, sha256: {HASH}, expires: {SECRET}}}]\n": "tokens[0].expires: write a date",
    f"tokens: [{{name: '{SECRET}!', role: admin, sha256: {HASH}}}]\n": "tokens[0].name: write at most 64 letters",
    f"tokens: [{{name: ci, role: admin, sha256: {HASH}, {SECRET}: 1}}]\n": "tokens[0]: there is another key than",
    f"certificates: [{{match: {SECRET}, role: admin}}]\n": "certificates[0].match: write KIND:NAME",
    f"certificates: [{{match: 'CN:', role: {SECRET}}}]\n": "certificates[0].role: write one of",
    "certificates: [{match: 'CN:x'}]\n": "certificates[0].role: it is missing",
    f"tokens: [{{name: a, role: admin, sha256: {HASH}}}, {{name: b, role: admin, sha256: {HASH}}}]\n": "same hash",
    f"tokens: [{{name: a, role: admin, sha256: {HASH}}}, {{name: a, role: admin, sha256: {OTHER}}}]\n": "same name",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_named_and_not_quoted(tmp_path: Path, text: str) -> None:
    path = tmp_path / "roles.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        roles.read(path)
    assert WRONG[text] in str(refused.value)
    assert SECRET not in str(refused.value)
    assert HASH not in str(refused.value)


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "roles.yaml"
    path.write_text("loopback: all\ncertificates: [{match: 'XX:a', role: admin}]\ntokens: [{role: none, sha256: 1}]\n")
    with pytest.raises(ConfigError) as refused:
        roles.read(path)
    places = [each.strip().partition(": ")[0] for each in str(refused.value).partition(": ")[2].split(";")]
    assert places == ["loopback", "certificates[0].match", "tokens[0].name", "tokens[0].sha256"]

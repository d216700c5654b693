"""docs/security.md is so: its table is the program's, its example is read, its commands make what it says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from everlease.admin import roles
from everlease.admin.access import SHORTEST
from everlease.admin.auth import ROLES, Role

PAGE = Path(__file__).parents[2] / "docs" / "security.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def table() -> dict[str, Role]:
    """Service and method, as the page names them -> role."""
    rows = re.findall(r"^\| (none|viewer|operator|admin) \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    words = {role.word: role for role in Role}
    groups = [(words[role], *group.split(": ")) for role, cell in rows for group in cell.split(" · ")]
    return {f"{service}/{method}": role for role, service, methods in groups for method in methods.split(", ")}


def test_the_table_of_roles_is_the_programs() -> None:
    assert table() == {method.rpartition(".")[2]: role for method, role in ROLES.items()}


def test_the_example_of_a_roles_file_is_read(tmp_path: Path) -> None:
    (text,) = blocks("yaml")
    file = tmp_path / "roles.yaml"
    file.write_text(text)
    found = roles.read(file)
    assert found.loopback is Role.VIEWER
    assert found.of_names(["DNS:x", "CN:ops-anna"]) is Role.OPERATOR
    assert found.of_names(["CN:x", "URI:spiffe://example.org/monitoring/grafana"]) is Role.VIEWER
    assert found.of_names(["CN:dev-ops-anna", "URI:https://example.org/monitoring/x"]) is Role.ANYBODY


def test_its_commands_make_a_token_whose_row_lets_it_in_and_a_ca_that_openssl_believes(tmp_path: Path) -> None:
    make_token, make_ca = blocks("bash")
    said = run(make_token, tmp_path)
    file, token = tmp_path / "roles.yaml", (tmp_path / "ci.token").read_text().strip()
    file.write_text(f"tokens: [{{name: ci, role: operator, {said.strip()}}}]\n")
    found = roles.read(file).token(token)
    assert found == roles.Token("ci", Role.OPERATOR, None)
    assert len(token) >= SHORTEST
    assert (tmp_path / "ci.token").stat().st_mode & 0o077 == 0
    run(make_ca, tmp_path)
    assert "node1.pem: OK" in run("openssl verify -CAfile ca.pem node1.pem", tmp_path)


def run(commands: str, folder: Path) -> str:
    words = ["bash", "-euc", commands]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True, timeout=60).stdout

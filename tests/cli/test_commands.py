"""Every command against a node: tables for people, plain values for programs, and the promised exit codes."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import yaml

from admin.furnished import OFFICE, lease, neighbour, put_leases

DESK = "02:00:00:00:00:02"


def test_leases_as_a_table_show_who_has_what(served, everlease) -> None:
    served.do(put_leases(served.rooms, [(0x0A4D1000, lease(2, hostname="desk")), (0x0A4D1001, lease(3))]))
    done = everlease("lease", "list")
    assert done.exit_code == 0
    head, first, second = done.stdout.splitlines()
    assert head.split()[:2] == ["ADDRESS", "STATE"]
    assert first.split()[:4] == ["10.77.16.0", "bound", DESK, "desk"]
    assert "10.77.16.1" in second


def test_leases_for_programs_are_the_same_in_json_yaml_and_csv(served, everlease) -> None:
    served.do(put_leases(served.rooms, [(0x0A4D1000, lease(2))]))
    (row,) = json.loads(everlease("lease", "list", "--output", "json").stdout)
    assert (row["address"], row["state"], row["valid_lifetime"]) == ("10.77.16.0", "bound", 3600)
    assert yaml.safe_load(everlease("lease", "list", "-o", "yaml").stdout) == [row]
    (line,) = csv.DictReader(io.StringIO(everlease("lease", "list", "-o", "csv").stdout))
    assert line["address"] == row["address"]


def test_leases_are_filtered(served, everlease) -> None:
    served.do(put_leases(served.rooms, [(0x0A4D1000, lease(2)), (0x0A4D1001, lease(3, ends=-1))]))

    def addresses(*words: str) -> list[str]:
        return [row["address"] for row in json.loads(everlease("lease", "list", "-o", "json", *words).stdout)]

    assert addresses("--state", "grace") == ["10.77.16.1"]
    assert addresses("--client", DESK) == ["10.77.16.0"]
    assert addresses("--subnet", "2") == []
    assert everlease("lease", "list", "--state", "lost").exit_code == 2


def test_no_lease_is_said_on_standard_error_and_is_no_error(everlease) -> None:
    done = everlease("lease", "list")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "no lease matches\n")


def test_a_lease_is_shown_by_address_and_by_client(served, everlease) -> None:
    served.do(put_leases(served.rooms, [(0x0A4D1000, lease(2, hostname="desk"))]))
    for what in ("10.77.16.0", DESK):
        assert json.loads(everlease("lease", "show", what, "-o", "json").stdout)["hostname"] == "desk"
    assert "valid lifetime" in everlease("lease", "show", DESK).stdout


def test_a_host_name_cannot_write_to_the_terminal(served, everlease) -> None:
    served.do(put_leases(served.rooms, [(0x0A4D1000, lease(2, hostname="[red]\x1b[2Jx\n"))]))
    shown = everlease("lease", "list").stdout
    assert "\x1b" not in shown
    assert "[red]\\x1b[2Jx\\n" in shown


def test_what_is_not_there_is_refused_with_one_line(everlease) -> None:
    done = everlease("lease", "show", "10.77.16.9")
    assert (done.exit_code, done.stderr) == (1, "everlease: 10.77.16.9 has no lease record\n")


def test_subnets_show_their_usage_as_numbers_and_as_a_bar(served, everlease) -> None:
    served.do(put_leases(served.rooms, [(0x0A4D1000 + number, lease(number)) for number in range(90)]))
    first = everlease("subnet", "list").stdout.splitlines()[1]
    assert first.split()[:6] == ["1", "office", "10.77.0.0/16", "active", "101", "10"]
    assert "90%" in first
    row = json.loads(everlease("subnet", "show", "1", "-o", "json").stdout)
    assert (row["leased"], row["utilisation"], row["labels"]) == (90, 0.901, ["site=bern"])
    assert everlease("subnet", "show", "9").exit_code == 1


def test_the_clusters_status_names_nodes_and_store_members(served, everlease) -> None:
    neighbour(served.rooms, "n2", state="degraded")
    shown = everlease("cluster", "status").stdout
    assert "Seen by n1" in shown
    assert "n2" in shown and "not eligible" in shown and "memory" in shown
    row = json.loads(everlease("cluster", "status", "-o", "json").stdout)
    assert [node["state"] for node in row["nodes"]] == ["serving", "degraded"]
    assert row["nodes"][0]["server_identifiers"] == ["10.77.0.1"]


def test_a_node_is_drained_and_resumed_by_name(served, everlease) -> None:
    neighbour(served.rooms)
    assert "n2 is drained" in everlease("cluster", "drain", "n2").stdout
    assert "n2 serves again" in everlease("cluster", "resume", "n2").stdout
    refused = everlease("cluster", "drain", "n3")
    assert (refused.exit_code, refused.stderr) == (1, "everlease: there is no node 'n3'\n")


def test_explain_tells_what_a_client_would_get_and_why(everlease) -> None:
    words = ("explain", "--hw-address", "02:00:00:00:00:01", "--link", "office", "--option", "60=Phone 7")
    shown = everlease(*words).stdout
    assert "10.77.0.10" in shown and "reserved for this client" in shown and "3 routers" in shown
    row = json.loads(everlease(*words, "-o", "json").stdout)
    assert (row["outcome"], row["address"], row["classes"]) == ("offer", "10.77.0.10", ["phones"])


def test_explain_reads_options_by_code_by_name_and_as_octets(everlease) -> None:
    base = ("explain", "--hw-address", DESK, "-o", "json", "--option")
    for option in ("60=Phone", "vendor-class-identifier=Phone", "60=0x50686f6e65"):
        assert json.loads(everlease(*base, option).stdout)["classes"] == ["phones"]
    for option in ("60", "nonsense=1", "50=here", "50=0xzz", "=x"):
        assert everlease(*base, option).exit_code == 2, option
    assert everlease("explain", "--hw-address", DESK, "--link", "a", "--relay", "192.0.2.1").exit_code == 2


def test_a_document_is_applied_and_printed_as_it_was_written(everlease, tmp_path: Path) -> None:
    file = tmp_path / "office.yaml"
    file.write_text(OFFICE.replace("name: office", "name: bureau") + "# the end\n")
    dry = everlease("config", "apply", str(file), "--dry-run")
    assert dry.exit_code == 0
    assert "subnet 1: name office -> bureau" in dry.stdout and "revision 1 stays in force" in dry.stdout
    done = everlease("config", "apply", str(file), "--comment", "French", "--expect-revision", "1")
    assert "revision 2 is in force" in done.stdout
    assert everlease("config", "show").stdout == file.read_text()
    row = json.loads(everlease("config", "show", "-o", "json").stdout)
    assert (row["revision"], row["comment"], row["current"]) == (2, "French", True)
    assert everlease("config", "show", "--revision", "1").stdout == OFFICE
    assert everlease("config", "show", "--revision", "7").exit_code == 1


def test_a_broken_document_is_refused_with_every_problem_and_its_line(everlease, tmp_path: Path) -> None:
    file = tmp_path / "office.yaml"
    file.write_text("subnets:\n  - id: 1\n    prefix: nonsense\n    linc: office\n")
    for command in ("validate", "apply"):
        done = everlease("config", command, str(file))
        assert done.exit_code == 1
        assert f"{file}:3: subnets[0].prefix:" in done.stderr
        assert f'{file}:4: subnets[0].linc: unknown key "linc"; did you mean "link"?' in done.stderr


def test_somebody_elses_revision_and_orphans_refuse_a_document(served, everlease, tmp_path: Path) -> None:
    served.do(put_leases(served.rooms, [(0x0A4D1060, lease(2))]))
    file = tmp_path / "office.yaml"
    file.write_text(OFFICE.replace("10.77.16.99", "10.77.16.49"))
    stale = everlease("config", "apply", str(file), "--expect-revision", "0")
    assert (stale.exit_code, "revision 1 is in force" in stale.stderr) == (1, True)
    orphaning = everlease("config", "apply", str(file))
    assert (orphaning.exit_code, "such as 10.77.16.96" in orphaning.stderr) == (1, True)
    forced = everlease("config", "apply", str(file), "--force")
    assert (forced.exit_code, "such as 10.77.16.96" in forced.stderr) == (0, True)


def test_standard_input_is_a_file_too(everlease) -> None:
    done = everlease("config", "validate", "-", input=OFFICE)
    assert (done.exit_code, done.stdout) == (0, "-: valid: 2 subnets, 1 reservation, 2 classes\n")


def test_the_schema_is_json_schema(everlease) -> None:
    schema = json.loads(everlease("config", "schema").stdout)
    assert "subnets" in schema["properties"]


def test_a_certificate_without_its_key_is_a_usage_error(everlease, tmp_path: Path) -> None:
    assert everlease("cluster", "status", "--cert", str(tmp_path / "a")).exit_code == 2
    missing = everlease("cluster", "status", "--ca", str(tmp_path / "none.pem"))
    assert (missing.exit_code, "cannot be read" in missing.stderr) == (2, True)

"""The console's pages and JSON: what the admin API says, bounded, and no client's name for anybody from elsewhere."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
import structlog
from google.protobuf.json_format import MessageToDict

from admin.furnished import NOW, lease, neighbour, put_leases
from admin.papers import authority, leaf, token_row
from admin.test_health import exchange
from checkout import ROOT
from everlease import health
from everlease.admin.access import Doorkeeper, Papers
from everlease.admin.auth import Role
from everlease.config.load import load
from everlease.console import Console
from everlease.console import timeline as ring
from everlease.console.access import GUARDED, NOT_ITSELF, NOT_LOCAL, refusal
from everlease.console.assets import Assets
from everlease.console.history import KEPT, PERIOD, History, totals
from everlease.console.maps import PAGE, block_map
from everlease.console.timeline import Event, Facts, NodeFacts, Timeline, differences
from everlease.core.lifecycle import DECLINED, OFFERED
from everlease.health import Request
from everlease.pb.admin.v1 import subnet_service_pb2, subnet_service_pb2_grpc
from everlease.runtime.counters import Counters
from everlease.runtime.rooms import Rooms

LOCAL = Request("GET", "/", "", {"host": "127.0.0.1:9167"}, "127.0.0.1")


@pytest.fixture
async def console(rooms: Rooms) -> Console:
    return Console(rooms)


@pytest.fixture
async def page(rooms: Rooms, console: Console) -> AsyncIterator[Any]:
    """`await page("status")` -> (status, JSON) of the API, asked by who is on this host."""
    handle = await health.serve(rooms, "127.0.0.1:0", console)

    async def ask(place: str, *headers: str) -> tuple[int, Any]:
        lines = [f"GET /console/api/v1/{place} HTTP/1.1", *(headers or ("Host: localhost",)), "", ""]
        head, _, body = (await exchange(handle.port, "\r\n".join(lines).encode())).partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body)

    ask.port = handle.port  # type: ignore[attr-defined]
    yield ask
    await handle.close()


async def raw(port: int, path: str) -> tuple[bytes, bytes]:
    head, _, body = (await exchange(port, f"GET {path} HTTP/1.1\r\n\r\n".encode())).partition(b"\r\n\r\n")
    return head, body


# --- pages ------------------------------------------------------------------------------------------------------------


async def test_the_page_comes_with_all_of_its_parts_and_refuses_every_other_origin(page: Any) -> None:
    head, body = await raw(page.port, "/")
    assert head.startswith(b"HTTP/1.1 302") and b"Location: /console/" in head
    head, body = await raw(page.port, "/console/")
    assert head.startswith(b"HTTP/1.1 200") and b"default-src 'none'" in head and b"nosniff" in head
    for name in re.findall(rb'(?:src|href)="([a-z.]+)"', body):
        assert (await raw(page.port, f"/console/{name.decode()}"))[0].startswith(b"HTTP/1.1 200"), name


def test_nothing_in_the_page_comes_from_elsewhere_or_stands_inline() -> None:
    for name, data in Assets()._found.items():
        text = data.decode()
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)[a-z]", text), name
        assert not re.search(
            r"\son[a-z]+=|style=|<script>|innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text
        ), name


def test_what_is_shown_is_as_young_as_the_manual_says() -> None:
    scripts = {name: data.decode() for name, data in Assets()._found.items() if name.endswith(".js")}
    periods = re.findall(r"every\((\d+)000, .*?(\w+)(?:\.load|Status)", scripts["main.js"])
    assert periods == [("2", "load"), ("2", "events"), ("10", "hour"), ("10", "pools")]
    (patience,) = re.findall(r"AbortSignal\.timeout\((\d+)000\)", scripts["api.js"])
    manual = " ".join((ROOT / "docs" / "console.md").read_text().split())
    assert "for the cluster and the timeline 2 s after the last answer, for the last hour and the pools 10 s" in manual
    assert f"said nothing for {patience} s is told" in manual


@pytest.mark.parametrize(
    "path", ["/console/../site.py", "/console/%2e%2e/site.py", "/console/api/v1/x", "/console/x.js", "/consoles"]
)
async def test_a_place_that_does_not_exist_is_not_found(page: Any, path: str) -> None:
    head, body = await raw(page.port, path)
    assert head.startswith(b"HTTP/1.1 404") and b"/console/" in body


# --- what it tells ----------------------------------------------------------------------------------------------------


async def test_status_and_subnets_are_the_admin_apis_word_for_word(
    rooms: Rooms, page: Any, channel: grpc.aio.Channel
) -> None:
    neighbour(rooms, "n2", state="draining", reason="told to stop")
    await put_leases(rooms, [(0x0A4D1000 + number, lease(number)) for number in range(7)])
    _, status = await page("status")
    assert [(node["node"], node["state"], node["reason"]) for node in status["nodes"]] == [
        ("n1", "NODE_STATE_SERVING", "commits are confirmed"),
        ("n2", "NODE_STATE_DRAINING", "told to stop"),
    ]
    assert (status["leases"], status["config_revision"]) == ("7", "1")
    stub = subnet_service_pb2_grpc.SubnetServiceStub(channel)
    told = MessageToDict(
        await stub.ListSubnets(subnet_service_pb2.ListSubnetsRequest()),
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    assert (await page("subnets"))[1] == told


async def test_subnets_come_in_pages(page: Any) -> None:
    _, first = await page("subnets?page_size=1")
    _, second = await page(f"subnets?page_size=1&page_token={first['next_page_token']}")
    assert [each["id"] for each in (*first["subnets"], *second["subnets"])] == [1, 2]
    assert second["next_page_token"] == ""
    assert (await page("subnets?page_size=x"))[0] == 400
    assert (await page("subnets?page_token=nonsense"))[0] == 400


async def test_a_map_has_a_letter_for_each_address_and_they_add_up_to_the_usage(rooms: Rooms, page: Any) -> None:
    base = 0x0A4D1000
    states = [(0, lease(0)), (1, lease(1, state=OFFERED)), (2, lease(2, state=DECLINED)), (3, lease(3, ends=-60))]
    await put_leases(rooms, [(base + number, each) for number, each in states])
    _, answer = await page("map?subnet=1")
    blocks = {each["first"]: each["states"] for each in answer["blocks"]}
    assert set(blocks) == {"10.77.0.0", "10.77.16.0"}  # a reservation outside of the pool, and the pool
    assert blocks["10.77.16.0"] == "lodg" + "f" * 96 + "." * 156
    assert blocks["10.77.0.0"].count("r") == 1 and blocks["10.77.0.0"][10] == "r"
    usage = (await page("subnets"))[1]["subnets"][0]["usage"]
    text = "".join(blocks.values())
    names = {"l": "leased", "o": "offered", "d": "declined", "g": "grace", "r": "reserved", "f": "free"}
    assert {name: str(text.count(letter)) for letter, name in names.items()} == {
        name: usage[name] for name in names.values()
    }


async def test_a_map_comes_in_pages_of_blocks(page: Any) -> None:
    _, answer = await page("map?subnet=1")
    start = int(IPv4Address("10.77.0.0")) >> 8
    asked = [start]
    while answer["next_block"]:
        asked.append(answer["next_block"])
        _, answer = await page(f"map?subnet=1&from={asked[-1]}")
    assert asked == [start + PAGE * number for number in range(256 // PAGE)]
    assert (await page("map?subnet=99"))[0] == 404


def test_a_subnet_smaller_than_a_block_keeps_to_its_own_addresses(rooms: Rooms) -> None:
    subnet = "  - {id: 1, prefix: 10.9.8.64/28, pools: [{range: 10.9.8.70-10.9.8.75}]}"
    config = load(f"schema: 1\nvalid-lifetime: 1h\nsubnets:\n{subnet}\n")
    assert block_map(rooms.view, config.subnets[1], 0x0A0908) == "." * 70 + "f" * 6 + "." * 180


# --- the last hour ----------------------------------------------------------------------------------------------------


def test_samples_are_differences_and_an_hour_of_them_is_kept() -> None:
    counters, history = Counters(), History()
    for number in range(KEPT + 5):
        history.sample(NOW + number * PERIOD, totals(counters))
        counters.received["discover"] += 3
        counters.sent["discover"] += 2
        counters.dropped["no_address"] += 1
        counters.dropped["not_owner"] += 50
        counters.durations["discover", "offer"].observe(0.004)
    samples = [each for part in history.after(0) for each in part]
    assert len(samples) == KEPT and samples[-1]["number"] == KEPT + 4
    last = samples[-1]
    assert (last["received"], last["sent"], last["dropped"]) == (3, 2, 1)
    assert sum(last["offer"]) == 1 and sum(last["ack"]) == 0
    assert [each["number"] for part in history.after(KEPT + 2) for each in part] == [KEPT + 3, KEPT + 4]


async def test_each_look_notes_what_changed_and_samples_when_that_is_due(
    rooms: Rooms, console: Console, page: Any
) -> None:
    console.look()
    neighbour(rooms, "n2")
    console.look()
    _, answer = await page("events")
    assert [(each["subject"], each["text"]) for each in answer["events"]] == [
        ("n2", "seen for the first time: serving")
    ]
    assert (await page(f"events?after={answer['next']}"))[1]["events"] == []
    assert (await page("history"))[1]["samples"] == []  # the first is only compared with


async def test_a_fault_in_a_look_is_told_and_the_page_goes_on(rooms: Rooms, console: Console, page: Any) -> None:
    rooms.counters.durations["discover", "offer"].buckets.append(0)  # a histogram that cannot be
    with structlog.testing.capture_logs() as lines:
        console.start()
        await asyncio.sleep(0.01)
    assert [line["event"] for line in lines] == ["fault"]
    assert (await page("status"))[0] == 200
    await console.close()


# --- the timeline -----------------------------------------------------------------------------------------------------

CALM = Facts({"n1": NodeFacts("serving", "", True, frozenset({"office"}))}, {"a": True}, frozenset(), "n1", "", 3)


def changed(**fields: Any) -> list[Event]:
    return list(differences(CALM, replace(CALM, **fields)))


def node(**fields: Any) -> dict[str, NodeFacts]:
    return {"n1": replace(CALM.nodes["n1"], **fields)}


def test_nothing_happens_while_nothing_changes() -> None:
    assert changed() == []


@pytest.mark.parametrize(
    ("fields", "event"),
    [
        (
            {"nodes": node(state="degraded", reason="no commit")},
            Event("node", "bad", "n1", "serving → degraded: no commit"),
        ),
        ({"nodes": node(fresh=False)}, Event("node", "bad", "n1", "its presence does not change any more")),
        ({"nodes": node(links=frozenset())}, Event("node", "warn", "n1", "does not serve link office any more")),
        (
            {"nodes": node(skips=frozenset({("n2", "office")}))},
            Event("takeover", "warn", "n2", "passed over on office: n1 had to answer its clients"),
        ),
        ({"nodes": {}}, Event("node", "note", "n1", "its presence is gone")),
        ({"members": {"a": False}}, Event("store", "warn", "a", "does not answer")),
        ({"alarms": frozenset({("a", "NOSPACE")})}, Event("store", "bad", "a", "has raised the alarm NOSPACE")),
        ({"keeper": "n2"}, Event("store", "note", "n2", "keeps the store")),
        ({"trouble": "full"}, Event("store", "warn", "store", "full")),
        ({"config": 4}, Event("configuration", "note", "revision 4", "in force on this node")),
        ({"config_error": "bad"}, Event("configuration", "bad", "this node", "bad")),
        ({"rogues": {"office": 2}}, Event("rogue", "bad", "office", "2 DHCP servers that are no member")),
    ],
)
def test_each_change_is_one_event(fields: dict[str, Any], event: Event) -> None:
    assert changed(**fields) == [event]
    assert all(each.gravity != "bad" for each in differences(replace(CALM, **fields), CALM))


def test_the_timeline_is_bounded_and_comes_in_pages() -> None:
    timeline = Timeline()
    timeline.add(NOW, (Event("node", "note", str(number), "") for number in range(ring.KEPT + 10)))
    seen, after, more = [], 0, True
    while more:
        answer = timeline.page(after)
        seen += [each["number"] for each in answer["events"]]
        after, more = answer["next"], answer["more"]
        assert len(answer["events"]) <= ring.PAGE
    assert seen == list(range(11, ring.KEPT + 11))


# --- leases -----------------------------------------------------------------------------------------------------------


async def test_a_lease_is_found_by_its_address_and_by_its_client_as_the_admin_api_has_it(
    rooms: Rooms, page: Any
) -> None:
    await put_leases(rooms, [(0x0A4D1005, lease(5, hostname="<script>alert(1)</script>"))])
    _, by_address = await page("lease?address=10.77.16.5")
    assert [each["hardware_address"] for each in by_address["leases"]] == ["02:00:00:00:00:05"]
    assert by_address["leases"][0]["hostname"] == "<script>alert(1)</script>"  # as it is: the page shows text
    assert (await page("lease?client=02:00:00:00:00:05"))[1] == by_address
    assert (await page("leases?client=02:00:00:00:00:05"))[1]["leases"] == by_address["leases"]
    assert (await page("leases?hostname=alert"))[1]["leases"] == by_address["leases"]
    assert (await page("leases?hostname=nobody"))[1]["leases"] == []
    assert (await page("about"))[1]["spaces"] == ["default"]
    assert (await page("lease?address=10.77.16.6"))[1] == {"leases": []}
    assert (await page("lease?address=nonsense"))[0] == 400


@pytest.mark.parametrize("place", ["lease?address=10.77.16.5", "leases?client=02:00:00:00:00:05"])
async def test_a_lease_is_refused_with_one_clear_line_and_nothing_else_names_clients(
    rooms: Rooms, page: Any, place: str
) -> None:
    await put_leases(rooms, [(0x0A4D1005, lease(5, hostname="secret-host"))])
    status, answer = await page(place, "Host: evil.example")
    assert (status, answer) == (403, {"error": NOT_ITSELF})
    assert (await page("about", "Host: evil.example"))[1]["lease_search"] is False
    for open_to_all in ("status", "subnets", "map?subnet=1", "history", "events", "about"):
        text = json.dumps(await page(open_to_all, "Host: evil.example"))
        assert "secret-host" not in text and "00:00:00:05" not in text


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, ""),
        ({"peer": "::1", "headers": {"host": "[::1]:9167"}}, ""),
        ({"peer": "::ffff:127.0.0.1"}, ""),
        ({"peer": "10.99.0.1"}, NOT_LOCAL),
        ({"peer": ""}, NOT_LOCAL),
        ({"headers": {}}, NOT_ITSELF),
        ({"headers": {"host": "rebound.example:9167"}}, NOT_ITSELF),
        ({"headers": {"host": "localhost", "x-forwarded-for": "10.0.0.1"}}, NOT_ITSELF),
        ({"headers": {"host": "localhost", "sec-fetch-site": "cross-site"}}, NOT_ITSELF),
    ],
)
def test_who_may_look_for_a_lease(fields: dict[str, Any], why: str) -> None:
    assert refusal(replace(LOCAL, **fields), lambda _shown: True) == why


VIEWER, WRONG = "viewer-" + "x" * 32, "wrong-" + "x" * 32


@pytest.mark.parametrize(
    ("papers", "loopback", "token", "allowed"),
    [
        ((), "", "", True),
        (("roles",), "viewer", "", True),
        (("roles",), "none", "", False),
        (("roles",), "none", VIEWER, True),
        (("roles",), "viewer", WRONG, False),  # wrong credentials are worse than none
        (("roles", "cert", "key"), "viewer", "", False),
        (("roles", "cert", "key"), "viewer", VIEWER, True),
        (("cert", "key", "ca"), "", "", False),
    ],
)
def test_who_may_not_read_leases_by_the_admin_api_may_not_here(
    tmp_path: Path, papers: tuple[str, ...], loopback: str, token: str, allowed: bool
) -> None:
    (tmp_path / "roles.yaml").write_text(
        f"loopback: {loopback or 'none'}\ntokens:\n{token_row('eve', 'viewer', VIEWER)}"
    )
    authority(tmp_path, "ca")
    leaf(tmp_path, "node", "ca")
    files = {"roles": "roles.yaml", "cert": "node.pem", "key": "node.key", "ca": "ca.pem"}
    doorkeeper = Doorkeeper(Papers(**{name: tmp_path / files[name] for name in papers}), True, lambda: NOW)
    headers = {**LOCAL.headers, **({"authorization": f"Bearer {token}"} if token else {})}
    why = refusal(replace(LOCAL, headers=headers), lambda shown: doorkeeper.beside(shown) >= Role.VIEWER)
    assert why == ("" if allowed else GUARDED)

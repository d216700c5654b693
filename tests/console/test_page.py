"""The page in a real browser, on a real cluster: it shows what the admin API says, and to whom it may."""

from __future__ import annotations

import json
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from console.browser import Browser
from console.stage import CLIENTS, HOSTILE, TOKEN, Stage
from everlease.core.lifecycle import BOUND, Lease
from everlease.lab.processes import run
from everlease.runtime.counters import SECONDS
from everlease.store.keys import Keys
from everlease.store.records import encode_lease

pytestmark = [pytest.mark.root, pytest.mark.etcd]
HOME = "http://127.0.0.1:9167/"
SCRIPT = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def opened(browser: Browser, url: str = HOME, width: int = 1280, **how: Any) -> Browser:
    """The page, with everything on it that it draws at first."""
    browser.window(width, 900, **how)
    browser.open(url)
    browser.wait(lambda: any(map(str.isdigit, "".join(browser.texts("#figures dd")[4:5]))), "pools are counted")
    browser.wait(lambda: browser.text("#map-words").startswith("One square"), "their map is drawn")
    browser.wait(lambda: browser.texts("#nodes tbody tr"), "nodes are shown")
    browser.wait(lambda: browser.text("#version"), "the page knows where it is")
    return browser


def number(text: str) -> int:
    return int(text.replace(",", ""))


def test_nodes_and_members_are_those_that_the_admin_api_names(stage: Stage, browser: Browser) -> None:
    opened(browser)
    browser.wait(lambda: browser.text("#verdict") == "All three nodes serve.", "the verdict")
    browser.wait(lambda: nodes_shown(browser) == nodes_told(stage), "the same nodes in the same states")
    members = browser.run("return [...document.querySelectorAll('#members li')].map((e) => e.dataset.member)")
    assert sorted(members) == sorted(each["endpoint"] for each in stage.told("cluster", "status")["members"])
    browser.wait(lambda: browser.texts("#troubles li") == [], "nothing is wrong")  # a busy machine is, for a moment


def nodes_shown(browser: Browser) -> dict[str, tuple[str, int, str]]:
    rows = browser.run(
        "return [...document.querySelectorAll('#nodes tbody tr')].map((row) => [...row.cells].map((c) => c.innerText))"
    )
    return {row[0].split()[0]: (row[1], number(row[2]), row[6]) for row in rows}


def nodes_told(stage: Stage) -> dict[str, tuple[str, int, str]]:
    nodes = stage.told("cluster", "status")["nodes"]
    return {each["node"]: (each["state"], each["buckets"], str(each["config_revision"])) for each in nodes}


def test_pools_and_their_map_add_up_to_the_admin_apis_usage(stage: Stage, browser: Browser) -> None:
    stage.settled()
    opened(browser)
    usage = {each["id"]: each for each in stage.told("subnet", "list")}
    texts = browser.texts("#subnets li")
    assert [text.splitlines()[0] for text in texts] == ["office", HOSTILE]
    for text, subnet in zip(texts, usage.values(), strict=True):
        assert f"{int(subnet['free']):,} of {int(subnet['size']):,} free" in text
    keys = browser.texts("#map-keys .key")
    assert f"leased {usage[1]['leased']}" in keys and f"free {int(usage[1]['free']):,}" in keys
    browser.run("document.getElementById('subnets').focus()")
    browser.press("ArrowDown")
    browser.wait(lambda: f"free {int(usage[2]['free'])}" in browser.text("#map-keys"), "the other subnet's map")
    browser.run("document.getElementById('map').focus()")
    browser.press("ArrowRight", "ArrowRight", "ArrowDown")
    assert browser.text("#map-words") == "10.88.0.27 free"  # from the first one, 10, one on and one down


def test_quantiles_are_those_that_prometheus_computes_from_the_same_buckets(browser: Browser) -> None:
    opened(browser)
    buckets = [0] * (len(SECONDS) + 1)
    buckets[1], buckets[3], buckets[-1] = 10, 80, 10  # up to 1 ms, up to 5 ms, beyond all bounds
    script = "return import('/console/hour.js').then((hour) => arguments[1].map((q) => hour.quantile(arguments[0], q)))"
    found = browser.run(script, buckets, [0.05, 0.5, 0.9, 0.99])
    assert found == pytest.approx([0.00075, 0.00375, 0.005, 5.0])
    assert browser.run("return import('/console/hour.js').then((hour) => hour.quantile([0, 0], 0.5))") is None


def test_a_lease_is_found_by_the_keyboard_alone(stage: Stage, browser: Browser) -> None:
    opened(browser)
    ack = stage.crowd.acks[0]
    address = str(IPv4Address(ack.address))
    told = stage.told("lease", "show", address)
    lease = told[0] if isinstance(told, list) else told
    browser.press("/")
    browser.type(address)
    browser.press("Enter")
    browser.wait(lambda: browser.text(".lease h3") == address, "the lease is shown")
    shown = dict(zip(browser.texts(".lease dt"), browser.texts(".lease dd"), strict=True))
    assert shown["Hardware address"] == lease["hardware_address"] == ack.mac.hex(":")
    assert (shown["Client"], shown["Granted by"], shown["State"]) == (lease["client"], lease["node"], "bound")
    browser.press("Escape", "/", *("\ue003" * 20), *ack.mac.hex(":"), "Enter")
    browser.wait(lambda: browser.text("#find-words") == "1 record", "the same by its hardware address")
    assert browser.text(".lease h3") == address


def test_what_a_client_says_of_itself_is_text_and_never_markup(stage: Stage, browser: Browser) -> None:
    address = int(IPv4Address("10.77.99.9"))
    hardware = bytes.fromhex("02badc0ffee0")
    record = Lease(
        b"\x02\x01" + hardware, hardware, BOUND, 1, 4_000_000_000, 3600, 1, SCRIPT, b"<script>", 0, 9, "n", 1
    )
    put = encode_lease(record).decode()
    key = Keys().lease("default", address).decode()
    run(stage.site.hosts[0].command(["etcdctl", "--endpoints", stage.site.etcd.endpoints[0], "put", key, put]))
    opened(browser)
    browser.press("/", *"10.77.99.9", "Enter")
    browser.wait(lambda: browser.text(".lease h3") == "10.77.99.9", "the lease is shown")
    browser.press("Escape", "/", *("\ue003" * 20), *"ONERROR", "Enter")
    browser.wait(lambda: browser.text("#find-words") == "1 record", "the same by a part of its name")
    assert SCRIPT in browser.texts(".lease dd") and HOSTILE in browser.text("#subnets")
    assert browser.run("return document.title") == "Everlease"
    assert browser.run("return document.querySelectorAll('main img, main script, main b').length") == 0
    assert browser.complaints() == []


def test_from_another_host_everything_is_shown_but_leases(stage: Stage, browser: Browser) -> None:
    status, body = stage.ask(0, "10.99.0.2", "/console/api/v1/lease?address=10.77.16.1")
    assert status == 403 and "only to who is on the node's own host" in json.loads(body)["error"]
    opened(browser, "http://10.99.0.2:9167/")
    browser.wait(lambda: browser.text("#verdict") == "All three nodes serve.", "the verdict")
    assert browser.run("return document.getElementById('query').disabled")
    assert "only to who is on the node's own host" in browser.text("#find-words")
    macs = [guest.mac.hex(":") for guest in stage.crowd.guests]
    assert not any(mac in browser.run("return document.documentElement.outerHTML") for mac in macs)
    assert stage.ask(1, "127.0.0.1", f"/console/api/v1/lease?client={macs[0]}")[0] == 200


def test_where_the_admin_api_wants_a_token_so_does_the_page(stage: Stage) -> None:
    browser = stage.browser(2)
    address = str(IPv4Address(stage.crowd.acks[0].address))
    try:
        opened(browser)
        assert "asks for credentials" in browser.text("#find-words")
        browser.press("/", *address, "Enter")
        browser.wait(lambda: "asks for credentials" in browser.text("#find-words"), "it is refused")
        browser.run("document.getElementById('token').focus()")
        browser.press(*TOKEN, "Enter")
        browser.wait(lambda: browser.text(".lease h3") == address, "the lease is shown")
    finally:
        browser.close()


@pytest.mark.parametrize(
    ("name", "width", "dark"), [("light", 1280, False), ("dark", 1280, True), ("narrow", 400, False)]
)
def test_it_keeps_to_the_window_and_to_the_colours_that_the_system_prefers(
    stage: Stage, browser: Browser, pictures: Path, name: str, width: int, dark: bool
) -> None:
    opened(browser, width=width, dark=dark)
    browser.picture(pictures / f"{name}.png")
    assert browser.run("return document.documentElement.scrollWidth") <= width
    shade = sum(browser.run("return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")[:3])
    assert (shade < 200) is dark
    browser.run("document.activeElement.blur()")
    browser.press("d")  # auto -> light, whatever the system prefers; d again: dark
    assert (
        sum(browser.run("return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")[:3]) > 600
    )
    browser.press("d", "d")
    assert browser.text("#theme") == "Auto"


def test_every_text_has_enough_contrast_and_every_field_a_name(browser: Browser) -> None:
    for dark in (False, True):
        opened(browser, dark=dark)
        assert browser.run(CONTRAST) == []
        assert browser.run(NAMELESS) == []


def test_what_happens_to_a_node_stands_in_the_timeline_and_the_verdict(stage: Stage, browser: Browser) -> None:
    opened(browser)
    stopped = stage.site.nodes[2]
    stopped.kill()
    browser.wait(lambda: browser.text("#verdict") == "Two of three nodes serve.", "the verdict")
    browser.wait(lambda: "does not change any more" in browser.text("#events"), "the event")
    assert "node2" in browser.text("#troubles")
    stopped.start().wait_ready(30)
    browser.wait(lambda: browser.text("#verdict") == "All three nodes serve.", "the verdict")
    browser.wait(
        lambda: browser.text("#events li:first-child .state") in ("node2", "node0", "node1"), "the newest first"
    )
    assert browser.run("return fetch('/console/api/v1/status').then((answer) => answer.status)") == 200
    assert stage.told("cluster", "status")["leases"] >= CLIENTS  # and one that a test may have put


CONTRAST = """
const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;  // WCAG 2.2, relative luminance
const light = ([r, g, b]) => [r, g, b].map((v) => linear(v / 255))
  .reduce((sum, v, place) => sum + v * [0.2126, 0.7152, 0.0722][place], 0);
const ground = (element) => {
  for (let each = element; each; each = each.parentElement) {
    const colour = rgb(getComputedStyle(each).backgroundColor);
    if (colour.length < 4 || colour[3] > 0.5) return colour;
  }
  return [255, 255, 255];
};
const found = [];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!own || !element.checkVisibility() || element.closest(":disabled, .bar")) continue;
  const [one, other] = [light(rgb(getComputedStyle(element).color)), light(ground(element))].sort((a, b) => b - a);
  if ((one + 0.05) / (other + 0.05) < 4.5) found.push(`${element.tagName} ${element.textContent.slice(0, 30)}`);
}
return found;
"""
NAMELESS = """
return [...document.querySelectorAll("button, input, canvas, [role=listbox], nav, section")].filter((e) => !(
  e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.textContent.trim() || e.labels?.length
)).map((e) => e.outerHTML.slice(0, 80));
"""

// The page: what is asked for how often, keys, and whether the node still answers.

import { every, get } from "./api.js";
import * as cluster from "./cluster.js";
import { atTime, byId, count, fill, h, rate, span } from "./dom.js";
import * as events from "./events.js";
import * as find from "./find.js";
import * as hour from "./hour.js";
import * as pools from "./pools.js";
import * as theme from "./theme.js";

let status = null, answeredAt = null;

async function loadStatus() {
  status = await get("status");
  cluster.show(status);
  figures();
}

function figures() {
  const lately = hour.figures(), addresses = pools.free();
  const figure = (name, value, unit = "") => h("div", {}, h("dt", {}, name), h("dd", {}, value, unit ? h("small", {}, unit) : null));
  const split = (text) => text.split(" ");
  fill(byId("figures"),
    figure("Answers", lately.rate === null ? "–" : rate(lately.rate), lately.rate === null ? "" : "/s"),
    figure("Half within", ...split(span(lately.p50))),
    figure("99 % within", ...split(span(lately.p99))),
    figure("Leases", status ? count(status.leases) : "–"),
    figure("Free addresses", addresses ? count(addresses.free) : "–", addresses && addresses.size ? `${Math.round(100 * addresses.free / addresses.size)} %` : ""),
    figure("Configuration", status && Number(status.config_revision) ? status.config_revision : "–"),
  );
}

function told(error) {
  const pulse = byId("pulse");
  if (error === null) answeredAt = Date.now() / 1000;
  const lost = error !== null && error.status === undefined;
  pulse.classList.toggle("lost", lost);
  pulse.classList.toggle("live", !lost);
  document.documentElement.classList.toggle("stale", lost);
  fill(byId("pulse-words"), lost ? `no answer since ${answeredAt ? atTime(answeredAt) : "the page was opened"}` : "live");
}

// --- keys ------------------------------------------------------------------------------------------------------------

const PLACES = { c: "cluster", h: "hour", p: "pools", t: "timeline", f: "find" };
let going = false;

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea")) return;
  if (event.key === "/") {
    event.preventDefault();
    byId("find").scrollIntoView();
    byId("query").focus({ preventScroll: true });
  } else if (going && PLACES[event.key]) {
    location.hash = PLACES[event.key];
  } else if (event.key === "d") {
    theme.next();
  }
  going = event.key === "g";
}

function followReading() {
  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const seen = new Set();
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) seen[entry.isIntersecting ? "add" : "delete"](entry.target.id);
    const here = [...links.keys()].find((id) => seen.has(id));
    for (const [id, link] of links) id === here ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current");
  }, { rootMargin: "-30% 0px -55% 0px" });
  for (const id of links.keys()) watcher.observe(byId(id));
}

async function begin() {
  theme.begin();
  for (const part of [hour, events, find]) part.begin();
  pools.begin((address) => byId("query").disabled || find.search(address));
  followReading();
  document.addEventListener("keydown", pressed);
  every(2000, loadStatus, told);
  every(2000, events.load, () => {});
  every(10000, async () => { await hour.load(); figures(); }, () => {});
  every(10000, async () => { await pools.load(); figures(); }, () => {});
  const about = await get("about");
  find.allow(about);
  fill(byId("version"), `Everlease ${about.version} on ${about.node}`);
}

begin();

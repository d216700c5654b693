// A lease by its address or its client: only where the node allows it. What clients say of themselves is shown as text.

import { get, Refused, show as showToken } from "./api.js";
import { byId, fill, h, onDay, plural, seconds, span } from "./dom.js";

const ADDRESS = /^\d{1,3}(\.\d{1,3}){3}$/;
const HEX = /^[0-9a-f]{2}([:-]?[0-9a-f]{2})*$/i;
const MOST = 100;  // found, when a part of a host name is looked for
let stopper = null;

export function allow(about) {
  const may = about.lease_search || about.asks_token;
  byId("query").disabled = byId("search").querySelector("button").disabled = !may;
  byId("token").hidden = !about.asks_token;
  if (!about.lease_search) say(about.why_not);
}

export function search(text) {
  byId("query").value = text;
  byId("find").scrollIntoView();
  byId("query").focus({ preventScroll: true });
  return run(text);
}

const say = (text) => fill(byId("find-words"), text);

async function run(text) {
  stopper?.abort();
  stopper = new AbortController();
  const { signal } = stopper;
  fill(byId("found"));
  const query = text.trim();
  if (!query) return say("");
  showToken(byId("token").value);
  say("Looking …");
  try {
    await (ADDRESS.test(query) ? byAddress(query, signal) : HEX.test(query) ? byClient(query, signal) : walk({ hostname: query }, signal));
  } catch (error) {
    if (!signal.aborted) say(error instanceof Refused ? error.message : "This node does not answer.");
  }
}

async function byAddress(address, signal) {
  const { leases } = await get("lease", { address }, signal);
  show(leases);
  say(leases.length ? plural(leases.length, "record") : `${address} has no lease record.`);
}

async function byClient(client, signal) {
  const { leases } = await get("lease", { client }, signal);
  show(leases);
  if (leases.length) return say(plural(leases.length, "record"));
  // Known by another identifier, perhaps, or a name that looks like one: then all records are looked through.
  await walk({ client }, signal) || await walk({ hostname: client }, signal);
}

/** Look through all records, page by page; whether there was one. */
async function walk(filter, signal) {
  let leases = [];
  for (const space of (await get("about", {}, signal)).spaces) {
    for (let token = "", first = true; (first || token) && leases.length < MOST; first = false) {
      say("Looking through all leases …  Escape stops.");
      const page = await get("leases", { ...filter, space, page_token: token }, signal);
      leases = [...leases, ...page.leases];
      token = page.next_page_token;
      show(leases);
    }
  }
  say(leases.length ? `${plural(leases.length, "record")}${leases.length < MOST ? "" : ", and perhaps more"}` : "Nobody is found by that.");
  return leases.length > 0;
}

function show(leases) {
  fill(byId("found"), ...leases.map((lease) => {
    const state = lease.state.replace("LEASE_STATE_", "").toLowerCase();
    const gravity = { bound: "good", offered: "good", grace: "warn", declined: "bad" }[state] ?? "note";
    const rows = [
      ["State", h(`span.state.${gravity}`, {}, state)], ["Hardware address", lease.hardware_address], ["Host name", lease.hostname], ["Client", lease.client],
      ["Subnet", String(lease.subnet)], ["Granted", onDay(lease.grant_time)], ["Committed until", onDay(lease.expire_time)],
      ["Lifetime told", span(seconds(lease.valid_lifetime))], ["Relay", lease.relay], ["Relay information", lease.relay_information && octets(lease.relay_information)],
      ["Granted by", lease.node], ["Configuration", lease.config_revision], ["Space", lease.space === "default" ? "" : lease.space],
    ];
    return h("article.lease", { "data-address": lease.address }, h("h3", {}, lease.address),
      h("dl", {}, ...rows.filter(([, value]) => value).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))));
  }));
}

const octets = (text) => [...atob(text)].map((each) => each.charCodeAt(0).toString(16).padStart(2, "0")).join(" ");

export function begin() {
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    run(byId("query").value);
  });
  byId("query").addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    stopper?.abort();
    say("");
    event.target.blur();
  });
}

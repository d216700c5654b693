// Who serves, who owns what, and how the store is: GetStatus, as the admin API answers it.

import { byId, bytes, count, fill, h, plural, seconds, span } from "./dom.js";

const NUMBERS = ["No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine"];
const GRAVITY = { serving: "good", extending: "warn", degraded: "bad", joining: "note", draining: "note", stopped: "note" };

const stateOf = (node) => node.state.replace("NODE_STATE_", "").toLowerCase();

export function show(status) {
  const serving = status.nodes.filter((node) => node.eligible);
  fill(byId("verdict"), verdict(status, serving.length));
  fill(byId("circumstances"), circumstances(status));
  fill(byId("troubles"), ...troubles(status));
  fill(byId("nodes").tBodies[0], ...status.nodes.map((node) => nodeRow(node, status)));
  ribbon(serving);
  fill(byId("keeper"), status.keeper ? `kept by ${status.keeper}` : "kept by nobody");
  const quota = Number(status.store_quota_bytes);
  fill(byId("members"), ...status.members.map((member) => memberRow(member, quota)));
}

function verdict(status, serving) {
  const all = status.nodes.length;
  const word = (number) => NUMBERS[number] ?? count(number);
  if (serving === 0) return status.nodes.some((node) => stateOf(node) === "extending") ? "Known clients are extended; nobody new is served." : "Nobody serves.";
  if (serving === all) return all === 1 ? "The only node serves." : `All ${word(all).toLowerCase()} nodes serve.`;
  return `${word(serving)} of ${word(all).toLowerCase()} nodes ${serving === 1 ? "serves" : "serve"}.`;
}

function circumstances(status) {
  const up = status.members.filter((member) => member.up).length;
  const config = Number(status.config_revision);
  return [
    `Seen by ${status.observer}`,
    `${up} of ${plural(status.members.length, "store member")} ${up === 1 ? "answers" : "answer"}`,
    config ? `configuration revision ${config}` : "no configuration yet",
    `view proved ${span(seconds(status.echo_age))} ago`,
  ].join("  ·  ");
}

function troubles(status) {
  const found = [];
  for (const node of status.nodes) {
    const state = stateOf(node);
    if (!node.eligible) found.push([state === "draining" ? "warn" : "bad", node.node, node.reason || state]);
    else if (node.config_revision !== status.config_revision) found.push(["warn", node.node, `decides with configuration revision ${node.config_revision}`]);
  }
  for (const member of status.members) {
    if (!member.up) found.push(["warn", member.endpoint, "does not answer"]);
    if (member.alarms.length) found.push(["bad", member.endpoint, `alarm ${member.alarms.join(", ")}`]);
  }
  if (status.store_trouble) found.push(["bad", "store", status.store_trouble]);
  if (status.config_error) found.push(["bad", "configuration", status.config_error]);
  return found.map(([gravity, subject, text]) => h(`li.${gravity}`, {}, h("strong", {}, subject), h("span", {}, text)));
}

function nodeRow(node, status) {
  const state = stateOf(node);
  const gravity = node.eligible ? GRAVITY[state] : state === "serving" ? "bad" : GRAVITY[state] ?? "note";
  const word = state === "serving" && !node.eligible ? "not eligible" : state;
  const cell = (label, ...children) => h("td.number", { "data-label": label }, ...children);
  const offset = seconds(node.clock_offset);
  return h("tr", { "data-node": node.node },
    h("td", {}, h("strong", {}, node.node), node.observer ? " " : null, node.observer ? h("span.self", {}, "this node") : null),
    h("td", {}, h(`span.state.${gravity}`, {}, word), node.reason && state !== "serving" || !node.eligible ? h("span.reason", {}, node.reason) : null),
    cell("buckets", count(node.owned_buckets)),
    h("td", { "data-label": "links" }, [...node.links, ...(node.relays.length ? [plural(node.relays.length, "relay")] : [])].join(", ") || "–"),
    cell("presence", span(seconds(node.presence_age))),
    cell("clock", offset === null || Math.abs(offset) < 0.0005 ? "±0 ms" : `${offset > 0 ? "+" : ""}${span(offset)}`),
    cell("configuration", node.config_revision === status.config_revision ? node.config_revision : `${node.config_revision} ≠ ${status.config_revision}`),
  );
}

function ribbon(serving) {
  const owners = serving.filter((node) => node.owned_buckets > 0);
  const all = owners.reduce((sum, node) => sum + node.owned_buckets, 0);
  const ribbon = byId("ribbon");
  fill(ribbon, ...owners.map((node) => h("span", { share: node.owned_buckets / all, title: `${node.node}: ${node.owned_buckets} of 256` }, node.node)));
  ribbon.setAttribute("aria-label", `Who answers first, of 256 buckets: ${owners.map((node) => `${node.node} ${node.owned_buckets}`).join(", ") || "nobody"}`);
}

function memberRow(member, quota) {
  const size = Number(member.size_bytes);
  const full = quota ? size / quota : 0;
  const told = [member.version && `etcd ${member.version}`, size && (quota ? `${bytes(size)} of ${bytes(quota)}` : bytes(size)), ...member.alarms].filter(Boolean);
  return h("li", { "data-member": member.endpoint },
    h("span.mono", {}, member.endpoint.replace(/^https?:\/\//, "")),
    h(`span.state.${member.up ? member.alarms.length ? "bad" : "good" : "bad"}`, {}, member.up ? span(seconds(member.latency)) : "down"),
    h("small", {}, told.join("  ·  ")),
    quota ? h("span.gauge", {}, h(`i${full > 0.9 ? ".bad" : full > 0.7 ? ".warn" : ""}`, { share: Math.min(Math.max(full, 0.004), 1) })) : null,
  );
}

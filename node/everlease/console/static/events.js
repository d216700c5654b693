// What happened since this node started, newest first: its own bounded list.

import { get } from "./api.js";
import { atTime, byId, fill, h } from "./dom.js";

const KEPT = 500;
const KINDS = ["node", "takeover", "configuration", "store", "rogue"];
let events = [], last = 0;
const hidden = new Set();

export async function load() {
  for (let more = true; more;) {
    const answer = await get("events", { after: last });
    events = [...events, ...answer.events].slice(-KEPT);
    ({ next: last, more } = answer);
  }
  draw();
}

function draw() {
  const shown = events.filter((event) => !hidden.has(event.kind)).reverse();
  fill(byId("events"), ...shown.map((event) => h("li", { "data-kind": event.kind },
    h("time", { datetime: new Date(event.time * 1000).toISOString(), title: new Date(event.time * 1000).toLocaleString() }, atTime(event.time)),
    h(`span.state.${event.gravity}`, {}, event.subject.replace(/^https?:\/\//, "")),
    h("p", {}, event.text))));
  byId("no-events").hidden = shown.length > 0;
  fill(byId("kinds"), ...KINDS.filter((kind) => events.some((event) => event.kind === kind))
    .map((kind) => h("button.quiet", { type: "button", "data-kind": kind, "aria-pressed": String(!hidden.has(kind)) }, kind)));
}

export function begin() {
  byId("kinds").addEventListener("click", (event) => {
    const { kind } = event.target.dataset;
    if (!kind) return;
    if (!hidden.delete(kind)) hidden.add(kind);
    draw();
    byId("kinds").querySelector(`[data-kind="${kind}"]`)?.focus();
  });
}

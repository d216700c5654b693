// Subnets and how full they are, and the addresses of one of them as a map: each /24 a square of 16 by 16.

import { get } from "./api.js";
import { fresh, keepDrawn } from "./canvas.js";
import { byId, count, fill, h, plural } from "./dom.js";
import { colour } from "./theme.js";

const STATES = { l: "leased", g: "grace", o: "offered", d: "declined", r: "reserved", f: "free" };
const MEANING = { l: "leased", g: "in grace: its client is past what it was told", o: "on offer", d: "declined: on probation", r: "reserved", f: "free", ".": "in no pool" };
const COLOURS = { l: "leased", g: "grace", o: "offered", d: "declined", r: "reserved", f: "free", ".": "outside" };
const REGION = 256, GAP = 3, PAGE = 100;  // blocks of a /16; pixels between blocks; subnets asked for at once

let subnets = [], loaded = false, pages = 1, total = false, chosen = null, region = 0, cursor = null, painted = null;
let blocks = new Map();
let onEnter = () => {};

export async function load() {
  let found = [], token = "";
  for (let page = 0; page < pages; page += 1) {
    const answer = await get("subnets", { page_size: PAGE, page_token: token });
    found = [...found, ...answer.subnets];
    token = answer.next_page_token;
    if (!token) break;
  }
  [subnets, total, loaded] = [found, !token, true];
  if (!subnets.some((subnet) => subnet.id === chosen)) choose(subnets[0]?.id ?? null);
  list();
  await loadMap();
}

export function free() {
  return subnets.length ? { free: sum("free"), size: sum("size"), all: total } : null;
}

const sum = (name) => subnets.reduce((all, subnet) => all + Number(subnet.usage[name]), 0);
const current = () => subnets.find((subnet) => subnet.id === chosen);

// --- the list --------------------------------------------------------------------------------------------------------

function list() {
  fill(byId("pools-count"), subnets.length ? `${plural(subnets.length, "subnet")}${total ? "" : " shown"}` : "");
  fill(byId("subnets"), ...subnets.map(entry));
  byId("more-subnets").hidden = total;
  if (chosen !== null) byId("subnets").setAttribute("aria-activedescendant", `subnet-${chosen}`);
}

function entry(subnet) {
  const { usage } = subnet, size = Number(usage.size);
  const used = size ? 1 - Number(usage.free) / size : 0;
  const parts = Object.entries(STATES).filter(([letter]) => letter !== "f" && Number(usage[STATES[letter]]));
  const state = subnet.state.replace("SUBNET_STATE_", "").toLowerCase();
  return h("li", { id: `subnet-${subnet.id}`, role: "option", "aria-selected": String(subnet.id === chosen), "data-subnet": String(subnet.id) },
    h("div.line", {}, h("span.name", {}, subnet.display_name || subnet.prefix), h("span", {}, `${(used * 100).toFixed(used > 0 && used < 0.1 ? 1 : 0)} %`)),
    h("div.bar-of", { "aria-hidden": "true" }, ...parts.map(([letter, name]) => h(`i.${letter}`, { share: Number(usage[name]) / size }))),
    h("small", {}, h("span", {}, [subnet.display_name ? subnet.prefix : null, `subnet ${subnet.id}`, state === "active" ? null : state].filter(Boolean).join("  ·  ")), h("span", {}, `${count(usage.free)} of ${count(size)} free`)),
  );
}

function choose(id) {
  if (id === chosen) return;
  [chosen, cursor, blocks] = [id, null, new Map()];
  const subnet = current();
  region = subnet ? firstBlock(subnet) : 0;
}

async function pick(id) {
  choose(id);
  list();
  byId(`subnet-${id}`)?.scrollIntoView({ block: "nearest" });
  await loadMap();
}

// --- the map ---------------------------------------------------------------------------------------------------------

const number = (dotted) => dotted.split(".").reduce((all, part) => all * 256 + Number(part), 0);
const dotted = (address) => [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
const firstBlock = (subnet) => Math.floor(number(subnet.prefix.split("/")[0]) / 256);
const lastBlock = (subnet) => firstBlock(subnet) + Math.max(2 ** (24 - Number(subnet.prefix.split("/")[1])), 1) - 1;

async function loadMap() {
  const subnet = current();
  if (!subnet) return draw();
  const found = new Map(), end = Math.min(region + REGION - 1, lastBlock(subnet));
  for (let from = region; from && from <= end;) {
    const answer = await get("map", { subnet: subnet.id, from });
    for (const each of answer.blocks) if (each.block <= end) found.set(each.block, each.states);
    from = answer.next_block;
  }
  if (subnet.id !== chosen) return;
  blocks = found;
  draw();
}

/**
 * How the blocks lie: up to 16 in a nearly square field, more of them one /20 a row, each in its own place; and each
 * address as large as there is room. place: block -> its number in the field; gutter: room for the rows' names.
 */
function plan(width) {
  const shown = [...blocks.keys()].sort((a, b) => a - b);
  const many = shown.length > 16;
  const columns = many ? 16 : 2 ** Math.ceil(Math.log2(Math.sqrt(shown.length || 1)));
  const first = many ? shown[0] - (shown[0] % 16) : 0;
  const place = new Map(shown.map((block, order) => [block, many ? block - first : order]));
  const rows = Math.floor((Math.max(0, ...place.values())) / columns) + 1;
  const gutter = many ? 34 : 0;
  const cell = Math.max(1, Math.min(22, Math.floor(((width - gutter - (columns - 1) * GAP) / columns) / 16 * 4) / 4));
  const side = cell * 16;
  return { shown, place, columns, rows, cell, side, gutter, height: rows * (side + GAP) - GAP };
}

function draw() {
  const canvas = byId("map"), subnet = current();
  const layout = plan(canvas.clientWidth);
  const [context] = fresh(canvas, Math.max(layout.height, 60));
  painted = layout;
  const colours = Object.fromEntries(Object.entries(COLOURS).map(([letter, name]) => [letter, colour(name)]));
  const inset = layout.cell >= 5 ? 1 : layout.cell >= 3 ? 0.5 : 0;
  if (layout.gutter) {
    context.fillStyle = colour("muted");
    context.textAlign = "right";
    const first = layout.shown[0] - layout.place.get(layout.shown[0]);
    for (let row = 0; row < layout.rows; row += 1) {
      context.fillText(`.${(first + row * 16) % 256}`, layout.gutter - 8, row * (layout.side + GAP) + layout.side / 2 + 4);
    }
  }
  layout.shown.forEach((block) => {
    const [left, top] = corner(block);
    const states = blocks.get(block);
    for (let each = 0; each < 256; each += 1) {
      context.fillStyle = colours[states[each]];
      context.fillRect(left + (each % 16) * layout.cell, top + Math.floor(each / 16) * layout.cell, layout.cell - inset, layout.cell - inset);
    }
  });
  if (cursor !== null) mark(context);
  describe(subnet);
}

function corner(block) {
  const place = painted.place.get(block), step = painted.side + GAP;
  return [painted.gutter + (place % painted.columns) * step, Math.floor(place / painted.columns) * step];
}

function mark(context) {
  const block = Math.floor(cursor / 256);
  if (!painted.place.has(block)) return;
  const [left, top] = corner(block), each = cursor % 256, size = Math.max(painted.cell, 6);
  context.strokeStyle = colour("ink");
  context.lineWidth = 2;
  const shift = (size - painted.cell) / 2;
  context.strokeRect(left + (each % 16) * painted.cell - shift, top + Math.floor(each / 16) * painted.cell - shift, size, size);
}

function describe(subnet) {
  const counts = {};
  for (const states of blocks.values()) for (const letter of states) counts[letter] = (counts[letter] ?? 0) + 1;
  fill(byId("map-title"), subnet ? `${subnet.display_name || "Addresses"} ${dotted(region * 256)}/${Math.max(Number(subnet.prefix.split("/")[1]), 16)}` : "Addresses");
  fill(byId("map-keys"), ...Object.entries(STATES).filter(([letter]) => counts[letter] || letter === "f" || letter === "l")
    .map(([letter, name]) => h(`span.key.swatch.${letter}`, {}, `${name} ${count(counts[letter] ?? 0)}`)));
  byId("map-steps").hidden = !subnet || lastBlock(subnet) - firstBlock(subnet) < REGION;
  if (subnet) [byId("map-back").disabled, byId("map-on").disabled] = [region <= firstBlock(subnet), region + REGION > lastBlock(subnet)];
  say();
}

function say() {
  const states = cursor === null ? null : blocks.get(Math.floor(cursor / 256));
  if (states) fill(byId("map-words"), `${dotted(cursor)}  ${MEANING[states[cursor % 256]]}`);
  else if (!loaded) fill(byId("map-words"), "Loading …");
  else fill(byId("map-words"), blocks.size ? "One square an address. Point at one, or use the arrow keys." : chosen === null ? "No subnet is configured yet." : "No address of this part is in a pool.");
}

function addressAt(x, y) {
  const step = painted.side + GAP, column = Math.floor((x - painted.gutter) / step), row = Math.floor(y / step);
  const [left, top] = [x - painted.gutter - column * step, y - row * step];
  if (column < 0 || column >= painted.columns || row < 0 || left >= painted.side || top >= painted.side) return null;
  const block = painted.shown.find((each) => painted.place.get(each) === row * painted.columns + column);
  return block === undefined ? null : block * 256 + Math.floor(top / painted.cell) * 16 + Math.floor(left / painted.cell);
}

/** One address on, to the neighbouring block at a block's edge. */
function move(key) {
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
  if (!step || !painted.shown.length) return false;
  if (cursor === null) {
    cursor = painted.shown[0] * 256 + Math.max(blocks.get(painted.shown[0]).search(/[^.]/), 0);
  } else {
    const [left, top] = corner(Math.floor(cursor / 256)), [column, row] = [cursor % 16, Math.floor(cursor % 256 / 16)];
    const along = (place, way) => (place + 0.5 + way) * painted.cell + (place + way < 0 ? -GAP : place + way > 15 ? GAP : 0);
    cursor = addressAt(left + along(column, step[0]), top + along(row, step[1])) ?? cursor;
  }
  draw();
  return true;
}

export function begin(enter) {
  onEnter = enter;
  const canvas = byId("map"), listing = byId("subnets");
  listing.addEventListener("click", (event) => {
    const found = event.target.closest("[data-subnet]");
    if (found) pick(Number(found.dataset.subnet));
  });
  listing.addEventListener("keydown", (event) => {
    const place = subnets.findIndex((subnet) => subnet.id === chosen);
    const next = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: subnets.length - 1 }[event.key];
    if (next === undefined || !subnets[next]) return;
    event.preventDefault();
    pick(subnets[next].id);
  });
  byId("more-subnets").addEventListener("click", () => { pages += 1; load(); });
  for (const [id, way] of [["map-back", -1], ["map-on", 1]]) {
    byId(id).addEventListener("click", () => { region += way * REGION; cursor = null; loadMap(); });
  }
  canvas.addEventListener("pointermove", (event) => { cursor = addressAt(event.offsetX, event.offsetY); draw(); });
  canvas.addEventListener("pointerleave", () => { cursor = null; draw(); });
  canvas.addEventListener("click", () => cursor !== null && onEnter(dotted(cursor)));
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && cursor !== null) onEnter(dotted(cursor));
    else if (event.key === "Escape") { cursor = null; draw(); }
    else if (move(event.key)) event.preventDefault();
  });
  keepDrawn(canvas, draw);
}

// The last hour of this node: packets a second, and how long answers took, from the very buckets of its histograms.

import { get } from "./api.js";
import { fresh, keepDrawn, stepped } from "./canvas.js";
import { atMinute, atTime, byId, count, fill, h, rate, span } from "./dom.js";
import { colour } from "./theme.js";

const HOUR = 3600, SHORTEST = 600;
const LEFT = 54, RIGHT = 8, TOP = 8, BOTTOM = 22;
let samples = [], bounds = [], period = 10, chosen = null;

export async function load() {
  const last = samples.length ? samples[samples.length - 1].number : 0;
  const answer = await get("history", { after: last });
  ({ bounds, period } = answer);
  samples = [...samples, ...answer.samples].slice(-HOUR / period);
  fill(byId("hour-node"), `as ${answer.node} measured it`);
  draw();
  table();
}

/** Seconds within which this share of the counted values lie, as Prometheus' histogram_quantile says; null for none. */
export function quantile(buckets, share) {
  const all = buckets.reduce((sum, each) => sum + each, 0);
  if (!all) return null;
  let left = all * share, place = 0;
  while (place < bounds.length && buckets[place] < left) left -= buckets[place++];
  if (place >= bounds.length) return bounds[bounds.length - 1];
  const low = place ? bounds[place - 1] : 0;
  return low + (bounds[place] - low) * (buckets[place] ? left / buckets[place] : 1);
}

export const answered = (sample) => sample.ack.map((each, place) => each + sample.offer[place]);
export const recent = (number) => samples.slice(-number);
export const sumOf = (some, name) => some.reduce((sum, each) => sum + each[name], 0);
export const merged = (some) => some.reduce((sum, each) => answered(each).map((value, place) => value + (sum[place] ?? 0)), []);

export function figures() {
  const some = recent(6);
  const time = some.length * period;
  const all = merged(some);
  return { rate: time ? sumOf(some, "sent") / time : null, p50: quantile(all, 0.5), p99: quantile(all, 0.99), count: all.reduce((a, b) => a + b, 0) };
}

// --- drawing ---------------------------------------------------------------------------------------------------------

/** Seconds that the charts show: what there is, ten minutes at least, an hour at most. */
const shownSpan = () => Math.min(Math.max(samples.length * period * 1.05, SHORTEST), HOUR);

function frame(canvas) {
  const [context, box] = fresh(canvas);
  const now = samples.length ? samples[samples.length - 1].time : Date.now() / 1000;
  const width = box.width - LEFT - RIGHT, height = box.height - TOP - BOTTOM;
  const long = shownSpan();
  const x = (time) => LEFT + width * (1 - (now - time) / long);
  context.fillStyle = colour("muted");
  context.textAlign = "center";
  const step = [60, 120, 300, 600, 900, 1800].find((each) => long / each <= width / 85);
  for (let time = Math.ceil((now - long) / step) * step; time <= now; time += step) {
    if (x(time) > LEFT + 16 && x(time) < box.width - 16) context.fillText(atMinute(time), x(time), box.height - 5);
  }
  return { context, box, x, height, now };
}

function rule(context, box, y, words) {
  context.strokeStyle = colour("line");
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(LEFT, Math.round(y) + 0.5);
  context.lineTo(box.width - RIGHT, Math.round(y) + 0.5);
  context.stroke();
  context.fillStyle = colour("muted");
  context.textAlign = "right";
  context.fillText(words, LEFT - 7, y + 4);
}

function line(context, points, name, width = 1.75) {
  context.strokeStyle = colour(name);
  context.lineWidth = width;
  context.lineJoin = "round";
  context.beginPath();
  let pen = false;
  for (const point of points) {
    if (point === null) pen = false;
    else {
      if (pen) context.lineTo(...point);
      else context.moveTo(point[0] - 0.01, point[1]), context.lineTo(...point);
      pen = true;
    }
  }
  context.stroke();
}

function cursor({ context, box, x, height }) {
  if (chosen === null || !samples[chosen]) return;
  context.fillStyle = colour("ink");
  context.globalAlpha = 0.45;
  context.fillRect(x(samples[chosen].time) - 0.5, TOP, 1, height);
  context.globalAlpha = 1;
}

function drawRate() {
  const plan = frame(byId("rate"));
  const { context, box, x, height } = plan;
  const most = Math.max(4 / period, ...samples.map((each) => Math.max(each.received, each.sent, each.dropped) / period));
  const step = nice(most / 3);
  const top = Math.max(step, Math.ceil(most / step) * step);
  const y = (value) => TOP + height * (1 - value / top);
  for (let value = 0; value <= top + step / 2; value += step) rule(context, box, y(value), step < 1 ? value.toFixed(1) : count(value));
  const points = (name) => samples.map((each) => [x(each.time), y(each[name] / period)]);
  if (samples.length) {
    const area = points("sent");
    context.fillStyle = colour("accent");
    context.globalAlpha = 0.13;
    context.beginPath();
    context.moveTo(area[0][0], y(0));
    area.forEach((point) => context.lineTo(...point));
    context.lineTo(area[area.length - 1][0], y(0));
    context.fill();
    context.globalAlpha = 0.6;
    line(context, points("received"), "muted", 1.25);
    context.globalAlpha = 1;
    line(context, points("sent"), "accent");
    const lost = (place) => samples[place - 1]?.dropped || samples[place]?.dropped || samples[place + 1]?.dropped;
    line(context, points("dropped").map((point, place) => (lost(place) ? point : null)), "bad");
  }
  cursor(plan);
}

function drawLatency() {
  const plan = frame(byId("latency"));
  const { context, box, x, height } = plan;
  const rows = bounds.length + 1;
  if (!bounds.length) return;
  const y = (row) => TOP + height * (1 - row / rows);
  const wide = (box.width - LEFT - RIGHT) * period / shownSpan();
  const label = (seconds) => span(seconds).replace(".0 ", " ");
  bounds.forEach((bound, place) => [0.001, 0.01, 0.1, 1].includes(bound) && rule(context, box, y(place + 1), label(bound)));
  rule(context, box, y(0), "0");
  context.fillStyle = colour("accent");
  for (const sample of samples) {
    const all = answered(sample), total = all.reduce((sum, each) => sum + each, 0);
    all.forEach((each, row) => {
      if (!each) return;
      context.globalAlpha = 0.1 + 0.5 * Math.sqrt(each / total);
      context.fillRect(x(sample.time) - wide, y(row + 1), wide + 0.4, height / rows - 0.5);
    });
  }
  context.globalAlpha = 1;
  const at = (value) => {
    if (value === null) return null;
    const row = bounds.findIndex((bound) => value <= bound);
    if (row < 0) return rows - 0.5;
    const low = row ? bounds[row - 1] : 0;
    return row + (value - low) / (bounds[row] - low);
  };
  for (const [share, name] of [[0.5, "accent"], [0.99, "warn"]]) {
    line(context, samples.map((each) => {
      const value = at(quantile(answered(each), share));
      return value === null ? null : [x(each.time) - wide / 2, y(value)];
    }), name);
  }
  cursor(plan);
}

function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((each) => each * power >= value) * power;
}

function draw() {
  drawRate();
  drawLatency();
  say();
}

// --- reading ---------------------------------------------------------------------------------------------------------

function say() {
  const sample = chosen === null ? null : samples[chosen];
  const empty = samples.length ? "The last hour; point at it, or use the arrow keys." : "The first sample comes ten seconds after the node's start.";
  if (!sample) {
    fill(byId("rate-words"), empty);
    fill(byId("latency-words"), samples.length ? "Darker: more of the answers took that long." : empty);
    return;
  }
  fill(byId("rate-words"), `${atTime(sample.time)}  ·  ${rate(sample.received / period)}/s received, ${rate(sample.sent / period)}/s answered, ${count(sample.dropped)} lost`);
  const all = answered(sample), total = all.reduce((sum, each) => sum + each, 0);
  fill(byId("latency-words"), `${atTime(sample.time)}  ·  ` + (total ? `half within ${span(quantile(all, 0.5))}, 99 % within ${span(quantile(all, 0.99))}, of ${count(total)} answers` : "nobody asked"));
}

function table() {
  const group = Math.round(300 / period), rows = [];
  for (let end = samples.length; end > 0; end -= group) {
    const some = samples.slice(Math.max(end - group, 0), end), time = some.length * period, all = merged(some);
    rows.push([atMinute(some[some.length - 1].time), rate(sumOf(some, "received") / time), rate(sumOf(some, "sent") / time),
      count(sumOf(some, "dropped")), span(quantile(all, 0.5)), span(quantile(all, 0.99))]);
  }
  fill(byId("hour-table").tBodies[0], ...rows.map(([time, ...cells]) => h("tr", {}, h("th", { scope: "row" }, time), ...cells.map((cell) => h("td.number", {}, cell)))));
}

function choose(place) {
  if (place === chosen) return;
  chosen = place;
  draw();
}

export function begin() {
  for (const canvas of [byId("rate"), byId("latency")]) {
    canvas.addEventListener("pointermove", (event) => {
      if (!samples.length) return;
      const share = (event.offsetX - LEFT) / (canvas.clientWidth - LEFT - RIGHT);
      const time = samples[samples.length - 1].time - shownSpan() * (1 - share);
      const place = samples.findIndex((each) => each.time >= time);
      choose(place < 0 ? samples.length - 1 : samples[place].time - time > 2 * period ? null : place);
    });
    canvas.addEventListener("pointerleave", () => choose(null));
    canvas.addEventListener("blur", () => choose(null));
    canvas.addEventListener("keydown", (event) => {
      const place = samples.length ? stepped(event.key, chosen, samples.length) : null;
      if (event.key === "Escape") choose(null);
      if (place === null) return;
      event.preventDefault();
      choose(place);
    });
  }
  keepDrawn(byId("rate"), draw);
}

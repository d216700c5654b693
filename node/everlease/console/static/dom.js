// Elements and words. Text becomes text, whatever it says: nothing here knows how to write markup.

/** An element: h("li.good", {role: "option"}, "text", another). Values of false and null are left out. */
export function h(what, attributes = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === false || value === undefined) continue;
    if (name === "share") element.style.width = `${value * 100}%`;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== false && child !== undefined));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** Put children in place of what is there; nothing is touched while they would look the same. */
export function fill(element, ...children) {
  const fresh = document.createDocumentFragment();
  fresh.append(...children.filter((child) => child !== null && child !== false));
  const same = fresh.childNodes.length === element.childNodes.length
    && [...fresh.childNodes].every((child, place) => child.isEqualNode(element.childNodes[place]));
  if (!same) element.replaceChildren(fresh);
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minute = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

export const count = (number) => whole.format(number);
export const rate = (number) => (number >= 10 || number === 0 ? whole.format(number) : number.toFixed(1));
export const atTime = (seconds) => clock.format(new Date(seconds * 1000));
export const atMinute = (seconds) => minute.format(new Date(seconds * 1000));
export const onDay = (text) => (text ? day.format(new Date(text)) : "–");
export const plural = (number, word) => `${count(number)} ${word}${Number(number) === 1 ? "" : "s"}`;

/** Seconds of a protobuf Duration ("0.512s"), or null. */
export const seconds = (text) => (text ? parseFloat(text) : null);

export function span(value) {
  if (value === null || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (size < 0.00005) return "0 ms";
  if (size < 0.9995) return `${(value * 1000).toFixed(size < 0.00995 ? 1 : 0)} ms`;
  if (size < 120) return `${value.toFixed(size < 10 ? 1 : 0)} s`;
  if (size < 7200) return `${Math.round(value / 60)} min`;
  return `${(value / 3600).toFixed(size < 36000 ? 1 : 0)} h`;
}

export function bytes(value) {
  for (const unit of ["B", "kB", "MB"]) {
    if (value < 1000) return `${value < 10 && unit !== "B" ? value.toFixed(1) : Math.round(value)} ${unit}`;
    value /= 1000;
  }
  return `${value.toFixed(1)} GB`;
}

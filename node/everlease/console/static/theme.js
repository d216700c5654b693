// Light, dark, or as the system has it; and what the colours are at present, for canvases.

import { byId } from "./dom.js";

const choices = ["auto", "light", "dark"];
const words = { auto: "as the system has them", light: "light", dark: "dark" };
const watchers = [];
const probe = document.createElement("span");
let choice = "auto";

/** A colour of the style sheet as the page shows it now: colour("accent"). */
export function colour(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

export function onChange(redraw) {
  watchers.push(redraw);
}

export function next() {
  use(choices[(choices.indexOf(choice) + 1) % choices.length]);
}

function use(chosen) {
  choice = choices.includes(chosen) ? chosen : "auto";
  if (choice === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  const button = byId("theme");
  button.textContent = choice[0].toUpperCase() + choice.slice(1);
  button.setAttribute("aria-label", `Colours: ${words[choice]}`);
  try {
    localStorage.setItem("everlease-theme", choice);
  } catch { /* a browser that keeps nothing */ }
  watchers.forEach((redraw) => redraw());
}

export function begin() {
  probe.hidden = true;
  document.body.append(probe);
  let kept = "auto";
  try {
    kept = localStorage.getItem("everlease-theme") ?? "auto";
  } catch { /* as above */ }
  use(kept);
  byId("theme").addEventListener("click", next);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => watchers.forEach((redraw) => redraw()));
}

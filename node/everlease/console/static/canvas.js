// What every canvas here needs: sharp at any pixel density, drawn again when its size or the colours change.

import { onChange } from "./theme.js";

/** The drawing context at CSS pixels, cleared. height: of the element; without one as the style sheet says. */
export function fresh(canvas, height = null) {
  const density = window.devicePixelRatio || 1;
  if (height !== null) canvas.style.height = `${height}px`;
  const box = { width: canvas.clientWidth, height: height ?? canvas.clientHeight };
  const [width, tall] = [Math.round(box.width * density), Math.round(box.height * density)];
  if (canvas.width !== width || canvas.height !== tall) [canvas.width, canvas.height] = [width, tall];
  const context = canvas.getContext("2d");
  context.setTransform(density, 0, 0, density, 0, 0);
  context.clearRect(0, 0, box.width, box.height);
  context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  return [context, box];
}

export function keepDrawn(canvas, draw) {
  let width = 0;
  new ResizeObserver(([entry]) => {
    if (Math.abs(entry.contentRect.width - width) > 0.5) {
      width = entry.contentRect.width;
      draw();
    }
  }).observe(canvas);
  onChange(draw);
}

/** Which of `length` places a key leads to from `place`, or null for another key. */
export function stepped(key, place, length) {
  const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -30, PageDown: 30, Home: -length, End: length };
  return key in steps ? Math.min(Math.max((place ?? length) + steps[key], 0), length - 1) : null;
}

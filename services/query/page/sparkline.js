// A line the size of a word: how a price went, without axis or number. Where there was no tick the line is broken.

import { draw } from "./dom.js";

export const WIDTH = 112;
export const HEIGHT = 28;
const EDGE = 2;

/** Draw closes, oldest first, null where there was none. Fewer than two say nothing, and are drawn as nothing. */
export function sparkline(closes) {
  const svg = draw("svg", {
    class: "spark",
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    width: WIDTH,
    height: HEIGHT,
    "aria-hidden": "true",
  });
  const known = closes.filter((close) => close !== null);
  if (known.length < 2) return svg;
  const low = Math.min(...known);
  const span = Math.max(...known) - low || 1;
  const x = (index) => EDGE + (index / (closes.length - 1)) * (WIDTH - 2 * EDGE);
  const y = (close) => HEIGHT - EDGE - ((close - low) / span) * (HEIGHT - 2 * EDGE);
  svg.classList.add(known.at(-1) >= known[0] ? "up" : "down");
  svg.append(draw("path", { d: broken(closes, x, y) }));
  const last = closes.findLastIndex((close) => close !== null);
  svg.append(draw("circle", { cx: x(last), cy: y(closes[last]), r: 1.8 }));
  return svg;
}

function broken(closes, x, y) {
  let path = "";
  let drawing = false;
  closes.forEach((close, index) => {
    if (close !== null) path += `${drawing ? "L" : "M"}${x(index).toFixed(1)} ${y(close).toFixed(1)}`;
    // A point between two gaps would be a line of no length, which is drawn as a dot where ends are round.
    if (close !== null && !drawing && closes[index + 1] === null) path += "h0.1";
    drawing = close !== null;
  });
  return path;
}

// Candles as a picture: bodies, wicks, axes, and hatching where nothing is known. Made anew when the data or the width change.
//
// Rising is hollow and falling is filled, so that colour is not the only one to tell. Time is drawn to scale: a gap is as
// wide as it was.

import { draw } from "./dom.js";
import { price, tick } from "./format.js";
import { linear, roundTimes, roundValues } from "./scales.js";

const HEIGHT = 340;
const EDGE = { top: 12, right: 76, bottom: 26, left: 8 };
const LEAST_BODY = 1;
const WIDEST_CANDLE = 14;
const FEWEST_SLOTS = 30; // a history that has just begun stands at the right, where it will grow
const LABEL_HEIGHT = 14;

/**
 * Draw candles `{at, open, high, low, close}` of `step` ms, and gaps `{from, to}`, in ms since 1970.
 *
 * Returns the picture, and where things are in it: `x(ms)`, `y(price)`, `left`, `right`, `bottom`.
 */
export function plot(candles, gaps, step, width) {
  const to = candles.at(-1).at + step;
  const from = Math.min(candles[0].at, to - FEWEST_SLOTS * step);
  const [low, high] = range(candles);
  const inner = { left: EDGE.left, right: width - EDGE.right, top: EDGE.top, bottom: HEIGHT - EDGE.bottom };
  const x = linear([from, to], [inner.left, inner.right]);
  const y = linear([low, high], [inner.bottom, inner.top]);
  const svg = draw(
    "svg",
    { class: "candles", viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, "aria-hidden": "true" },
    draw("defs", {}, hatching()),
    priceAxis(low, high, y, inner, y(candles.at(-1).close)),
    timeAxis(from, to, x, inner),
    gaps.map((gap) => gapBand(gap, from, to, x, inner)),
    candles.map((candle) => candleShape(candle, step, x, y)),
    lastPrice(candles.at(-1), y, inner),
  );
  return { svg, x, y, ...inner };
}

function range(candles) {
  const low = Math.min(...candles.map((candle) => candle.low));
  const high = Math.max(...candles.map((candle) => candle.high));
  const air = (high - low) * 0.06 || Math.abs(high) * 0.01 || 1;
  return [low - air, high + air];
}

function hatching() {
  return draw(
    "pattern",
    { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    draw("line", { x1: 0, y1: 0, x2: 0, y2: 6, class: "hatch" }),
  );
}

function priceAxis(low, high, y, { left, right }, taken) {
  return roundValues(low, high, 5).map((value) => {
    const at = Math.round(y(value)) + 0.5;
    const label = Math.abs(at - taken) > LABEL_HEIGHT && draw("text", { x: right + 8, y: at + 4 }, price(value));
    return draw("g", { class: "axis" }, draw("line", { x1: left, x2: right, y1: at, y2: at }), label);
  });
}

function timeAxis(from, to, x, { left, right, bottom }) {
  const { times, step } = roundTimes(from, to, Math.max(2, (right - left) / 90));
  return times.map((time) => {
    const at = x(time);
    const fits = at > left + 16 && at < right - 16;
    return (
      fits &&
      draw(
        "g",
        { class: "axis" },
        draw("line", { x1: at, x2: at, y1: bottom, y2: bottom + 4 }),
        draw("text", { x: at, y: bottom + 18, "text-anchor": "middle" }, tick(time, step)),
      )
    );
  });
}

function gapBand(gap, from, to, x, { top, bottom }) {
  const [left, right] = [x(Math.max(gap.from, from)), x(Math.min(gap.to, to))];
  return (
    right - left >= 1 &&
    draw("rect", { class: "gap", x: left, y: top, width: right - left, height: bottom - top, fill: "url(#hatch)" })
  );
}

function candleShape(candle, step, x, y) {
  const slot = x(candle.at + step) - x(candle.at);
  const width = Math.max(1, Math.min(WIDEST_CANDLE, slot * 0.68));
  const middle = x(candle.at + step / 2);
  const [top, bottom] = [y(Math.max(candle.open, candle.close)), y(Math.min(candle.open, candle.close))];
  const way = candle.close >= candle.open ? "up" : "down";
  return draw(
    "g",
    { class: `candle ${way}` },
    draw("path", { d: `M${middle} ${y(candle.high)}V${top}M${middle} ${bottom}V${y(candle.low)}` }),
    draw("rect", { x: middle - width / 2, y: top, width, height: Math.max(LEAST_BODY, bottom - top) }),
  );
}

function lastPrice(candle, y, { left, right }) {
  const at = y(candle.close);
  return draw(
    "g",
    { class: `last ${candle.close >= candle.open ? "up" : "down"}` },
    draw("line", { x1: left, x2: right, y1: at, y2: at }),
    draw("rect", { x: right + 2, y: at - 9, width: 72, height: 18, rx: 3 }),
    draw("text", { x: right + 8, y: at + 4 }, price(candle.close)),
  );
}

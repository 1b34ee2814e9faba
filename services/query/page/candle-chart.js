// The chart of an asset: candles of a chosen width in time, read off by pointer or by keys.

import { get, query } from "./api.js";
import { plot } from "./candle-plot.js";
import { now } from "./clock.js";
import { draw, make, say } from "./dom.js";
import { count, moment, percent, price } from "./format.js";
import { every } from "./live.js";
import { emptiness, trouble } from "./notices.js";

const MINUTE = 60_000;
const STEPS = { "1m": MINUTE, "5m": 5 * MINUTE, "1h": 60 * MINUTE, "1d": 1_440 * MINUTE };
export const INTERVALS = Object.keys(STEPS);
const FIRST = "1h";
const SLOT = 9;
const MOST = 240;
const LEAST = 40;
const LOOK_MS = 10_000;
const FEW = 8;

/**
 * Make the chart of an asset. `choose(interval)` is called when another interval is wanted; `show(interval)` shows it.
 * Without one (null) the first that has something to show is taken.
 */
export function candleChart(uid, interval, choose) {
  const stage = make("div", {
    class: "stage",
    role: "slider",
    tabindex: "0",
    "aria-label": "Candles; arrow keys go from one to the next",
    "aria-valuemin": "0",
    "aria-valuemax": "0",
    "aria-valuenow": "0",
    "aria-valuetext": "No candles yet",
  });
  const readout = make("p", { class: "readout" });
  const about = make("p", { class: "about" });
  const buttons = INTERVALS.map((each) => make("button", { type: "button", class: "quiet", onclick: () => choose(each) }, each));
  const element = make(
    "section",
    { class: "chart", "aria-label": "Price history" },
    make("div", { class: "bar" }, make("div", { role: "group", "aria-label": "Interval", class: "intervals" }, buttons), readout),
    stage,
    about,
  );
  let chosen = interval ?? FIRST;
  let isChosen = interval !== null;
  let held = null;
  let at = null;
  let closeLook = () => {};

  function look() {
    closeLook();
    closeLook = every(LOOK_MS, async (signal) => {
      try {
        const step = STEPS[chosen];
        const history = await fetchCandles(uid, chosen, wanted(stage.clientWidth), signal);
        if (!isChosen && history.candles.length < FEW && chosen !== "1m") {
          chosen = INTERVALS[INTERVALS.indexOf(chosen) - 1];
          return look();
        }
        isChosen = true;
        held = { ...history, step };
        paint();
      } catch (error) {
        if (!signal.aborted && held === null) stage.replaceChildren(trouble(error));
      }
    });
    mark();
  }

  function paint() {
    held.width = stage.clientWidth;
    if (held.candles.length === 0) {
      stage.replaceChildren(
        emptiness(
          "No candles here.",
          "No tick of this asset came in the time that this chart shows. A shorter or a longer interval may have some.",
        ),
      );
      say(readout, "");
      say(about, "");
      return;
    }
    const width = Math.max(260, stage.clientWidth);
    const picture = plot(held.candles, held.gaps, held.step, width);
    const cross = draw("g", { class: "cross" });
    picture.svg.append(cross);
    held.picture = picture;
    held.cross = cross;
    stage.replaceChildren(picture.svg);
    stage.setAttribute("aria-valuemax", String(held.candles.length - 1));
    read(at === null ? null : Math.min(at, held.candles.length - 1));
    say(about, described(held));
  }

  /** Read candle `index`; null is the last one, without a cross. */
  function read(index) {
    at = index;
    if (!held?.candles.length) return;
    const shown = index ?? held.candles.length - 1;
    const candle = held.candles[shown];
    const parts = values(candle, held.step);
    readout.replaceChildren(...parts.map(([name, value]) => make("span", {}, name && make("i", {}, name), value)));
    stage.setAttribute("aria-valuenow", String(shown));
    stage.setAttribute("aria-valuetext", parts.map(([name, value]) => `${SPOKEN[name] ?? name} ${value}`).join(", "));
    held.cross.replaceChildren(...(index === null ? [] : crossAt(candle, held)));
  }

  function mark() {
    buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(INTERVALS[index] === chosen)));
  }

  stage.addEventListener("pointermove", (event) => {
    if (!held?.picture) return;
    const x = event.clientX - stage.getBoundingClientRect().left;
    read(nearest(held, x));
  });
  stage.addEventListener("pointerleave", () => document.activeElement === stage || read(null));
  stage.addEventListener("blur", () => read(null));
  stage.addEventListener("keydown", (event) => {
    const last = (held?.candles.length ?? 0) - 1;
    const moved = {
      ArrowLeft: (at ?? last + 1) - 1,
      ArrowRight: (at ?? last - 1) + 1,
      Home: 0,
      End: last,
      PageUp: (at ?? last) - 10,
      PageDown: (at ?? last) + 10,
    }[event.key];
    if (moved === undefined || last < 0) return;
    event.preventDefault();
    read(Math.max(0, Math.min(last, moved)));
  });
  const watching = new ResizeObserver(() => held && held.width !== stage.clientWidth && paint());
  watching.observe(stage);
  look();

  return {
    element,
    show(next) {
      if (next === null || next === chosen) return;
      chosen = next;
      isChosen = true;
      at = null;
      look();
    },
    close() {
      closeLook();
      watching.disconnect();
    },
  };
}

const SPOKEN = { O: "open", H: "high", L: "low", C: "close", "": "" };

async function fetchCandles(uid, interval, limit, signal) {
  // The pages begin at the oldest: the span is chosen so that one page holds it, to its end.
  const from = Math.floor(now() / STEPS[interval] - limit + 1) * STEPS[interval];
  const found = await get(
    `/data/${encodeURIComponent(uid)}/history${query({ interval, limit: limit + 1, from: new Date(from).toISOString() })}`,
    signal,
  );
  const candles = found.data.map((one) => ({ ...one, at: Date.parse(one.started_at) }));
  const gaps = found.gaps.map((gap) => ({ from: Date.parse(gap.from), to: Date.parse(gap.to) }));
  return { candles, gaps };
}

function wanted(width) {
  return Math.max(LEAST, Math.min(MOST, Math.floor(width / SLOT)));
}

function nearest({ candles, picture, step }, x) {
  let best = 0;
  candles.forEach((candle, index) => {
    const middle = (each) => Math.abs(picture.x(each.at + step / 2) - x);
    if (middle(candle) < middle(candles[best])) best = index;
  });
  return best;
}

function values(candle, step) {
  const change = candle.open ? (100 * (candle.close - candle.open)) / candle.open : null;
  return [
    ["", moment(candle.at, { day: step >= STEPS["1d"] })],
    ["O", price(candle.open)],
    ["H", price(candle.high)],
    ["L", price(candle.low)],
    ["C", price(candle.close)],
    ["", percent(change)],
    ["", `${count(candle.ticks)} ${candle.ticks === 1 ? "tick" : "ticks"}`],
  ];
}

function crossAt(candle, { picture, step }) {
  const x = picture.x(candle.at + step / 2);
  const y = picture.y(candle.close);
  return [
    draw("line", { x1: x, x2: x, y1: picture.top, y2: picture.bottom }),
    draw("line", { x1: picture.left, x2: picture.right, y1: y, y2: y }),
    draw("circle", { cx: x, cy: y, r: 3.5 }),
  ];
}

function described({ candles, gaps, step }) {
  const day = step >= STEPS["1d"];
  const missing = gaps.length
    ? ` ${count(gaps.length)} ${gaps.length === 1 ? "gap is" : "gaps are"} hatched: nothing came then, and nothing is filled in.`
    : "";
  const [first, last] = [candles[0], candles.at(-1)].map((candle) => moment(candle.at, { day }));
  return `${count(candles.length)} candles from ${first} to ${last}. Hollow: rose. Filled: fell.${missing}`;
}

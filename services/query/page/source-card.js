// A source: its last run, how old its numbers are, what is left of its quota, when it runs next, and a button to run it now.

import { aged, foreign, make, say, setAge } from "./dom.js";
import { NOTHING, age, count } from "./format.js";
import { manualRun } from "./manual-run.js";
import { statusChip } from "./pipeline-work.js";

/** The cards of all sources; made once and changed after that, so that a button keeps its place and its run. */
export function sourceCards({ onFinished }) {
  const cards = new Map();
  const element = make("div", { class: "cards" });
  return {
    take(sources) {
      for (const source of sources) {
        if (!cards.has(source.source)) {
          const card = sourceCard(source.source, onFinished);
          cards.set(source.source, card);
          element.append(card.element);
        }
        cards.get(source.source).take(source);
      }
      return element;
    },
    close() {
      for (const card of cards.values()) card.close();
    },
  };
}

function sourceCard(name, onFinished) {
  const run = manualRun(name, onFinished);
  const facts = Object.fromEntries(
    ["Last run", "Newest", "Listings", "Next run", "Quota left"].map((label) => [label, make("dd")]),
  );
  const newest = aged(null);
  facts["Newest"].append(newest);
  const why = make("p", { class: "aside" });
  const element = make(
    "article",
    { class: "card", "aria-label": name },
    make("div", { class: "card-head" }, make("h3", {}, name), run.button),
    make(
      "dl",
      {},
      Object.entries(facts).map(([label, fact]) => make("div", {}, make("dt", {}, label), fact)),
    ),
    why,
    run.element,
  );
  return {
    element,
    close: run.close,
    take(source) {
      element.classList.toggle("off", !source.runs_here);
      run.allow(source.runs_here);
      setAge(newest, source.newest_event_at);
      newest.title = source.freshness_seconds === null ? "" : `${age(1_000 * source.freshness_seconds)} old`;
      facts["Last run"].replaceChildren(...lastRun(source.last_run));
      say(facts.Listings, `${count(source.listings)}, ${count(source.assets)} taken`);
      facts["Next run"].replaceChildren(nextRun(source.schedule));
      facts["Quota left"].replaceChildren(...quota(source.quota));
      why.replaceChildren(
        ...(source.runs_here
          ? source.last_run?.error
            ? [foreign(source.last_run.error)]
            : []
          : ["An optional source that does not run here: EXTRA_SOURCES names those that do."]),
      );
    },
  };
}

function lastRun(run) {
  if (!run) return ["none yet"];
  const began = aged(run.finished_at ?? run.started_at ?? run.requested_at);
  return [statusChip(run.status), " ", began];
}

function nextRun(schedule) {
  if (!schedule?.next_at) return document.createTextNode(schedule ? "by hand only" : NOTHING);
  return make(
    "span",
    {},
    aged(schedule.next_at, { until: true }),
    make("span", { class: "aside" }, `, every ${age(1_000 * schedule.interval_seconds)}`),
  );
}

function quota(found) {
  if (!found) return [NOTHING];
  const windows = [
    ["minute", "a minute"],
    ["month", "this month"],
  ].filter(([window]) => found[window]);
  const bars = windows.map(([window, label]) => meter(found[window], label));
  if (found.blocked_until)
    bars.push(make("p", { class: "down" }, "the provider asks to wait; again ", aged(found.blocked_until, { until: true })));
  return bars.length ? bars : ["no limit"];
}

function meter({ limit, left }, label) {
  const bar = make("meter", {
    min: "0",
    max: String(limit),
    low: String(limit * 0.2),
    high: String(limit * 0.5),
    optimum: String(limit),
    value: String(left),
    "aria-label": `Requests left ${label}`,
  });
  return make("span", { class: "meter" }, `${count(left)} of ${count(limit)} ${label}`, bar);
}

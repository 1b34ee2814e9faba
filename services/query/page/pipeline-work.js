// The pipeline at work: how far the normalizer is behind, and what came of the latest runs.

import { aged, foreign, make } from "./dom.js";
import { NOTHING, age, count, duration, words } from "./format.js";
import { emptiness } from "./notices.js";

const STATUS = { succeeded: "good", failed: "bad", skipped: "dull", requested: "calm", running: "calm", published: "calm" };
const PROGRESS = {
  idle: ["Nothing to read", "good"],
  moving: ["Moving", "calm"],
  stalled: ["Stalled", "bad"],
  unknown: ["Not watched long enough yet", "dull"],
};

/** A run's status as a chip. */
export function statusChip(status) {
  return make("span", { class: `chip ${STATUS[status] ?? "dull"}` }, status);
}

/** Where the normalizer stands in each partition. */
export function lag({ group, members, checkpoints }) {
  const widest = Math.max(0, ...checkpoints.map((each) => each.partitions.length));
  const numbers = Array.from({ length: widest }, (_, index) => index);
  return make(
    "div",
    {},
    make(
      "p",
      { class: "summary" },
      make("code", {}, group),
      `, ${count(members)} ${members === 1 ? "member" : "members"}${members ? "" : ": nobody consumes"}`,
    ),
    make(
      "table",
      { class: "lag", "aria-label": "Lag by partition" },
      make(
        "thead",
        {},
        make(
          "tr",
          {},
          make("th", { scope: "col" }, "Topic"),
          make("th", { scope: "col" }, "State"),
          make("th", { scope: "col", class: "number" }, "Behind"),
          numbers.map((number) =>
            make("th", { scope: "col", class: "number" }, make("span", { class: "unseen" }, "Partition "), String(number)),
          ),
        ),
      ),
      make(
        "tbody",
        {},
        checkpoints.map((each) =>
          make(
            "tr",
            {},
            make("th", { scope: "row" }, each.topic),
            make("td", {}, progressChip(each.status)),
            make("td", { class: "number" }, behind(each)),
            numbers.map((number) => partition(each.partitions[number])),
          ),
        ),
      ),
    ),
  );
}

function progressChip(status) {
  const [text, kind] = PROGRESS[status] ?? [words(status), "dull"];
  return make("span", { class: `chip ${kind}` }, text);
}

function behind({ lag_messages: messages, lag_seconds: seconds }) {
  return messages === 0 ? "0" : `${count(messages)}${seconds === null ? "" : `, ${age(1_000 * seconds)}`}`;
}

function partition(found) {
  if (found === undefined) return make("td", { class: "number" }, NOTHING);
  const level =
    found.lag_messages === 0 ? "none" : found.status === "stalled" ? "stalled" : found.lag_messages < 1_000 ? "some" : "much";
  return make(
    "td",
    { class: `number cell ${level}`, title: `committed ${found.committed ?? "never"}, log end ${found.log_end}` },
    count(found.lag_messages),
  );
}

/** The latest runs and what came of their rows. */
export function runs({ runs: all }) {
  if (all.length === 0)
    return emptiness("No run has been recorded.", "The sources run by their schedule, or by the buttons above.");
  const counts = [
    ["fetched", "from-phone"],
    ["unchanged", "from-tablet"],
    ["stored", ""],
    ["duplicate", "from-tablet"],
    ["dead_lettered", "from-phone"],
  ];
  return make(
    "table",
    { class: "runs", "aria-label": "The latest runs" },
    make(
      "thead",
      {},
      make(
        "tr",
        {},
        make("th", { scope: "col" }, "Source"),
        make("th", { scope: "col" }, "Status"),
        make("th", { scope: "col", class: "number" }, "Began"),
        make("th", { scope: "col", class: "number from-tablet" }, "Took"),
        counts.map(([name, className]) => make("th", { scope: "col", class: `number ${className}` }, words(name))),
      ),
    ),
    make(
      "tbody",
      {},
      all.map((run) =>
        make(
          "tr",
          {},
          make("th", { scope: "row" }, run.source, run.trigger === "manual" && make("span", { class: "aside" }, " by hand")),
          make(
            "td",
            {},
            statusChip(run.status),
            run.anomalies.length > 0 &&
              make(
                "span",
                { class: "warned", title: run.anomalies.map((each) => each.words).join("; ") },
                make("span", { "aria-hidden": "true" }, " ⚠"),
                make("span", { class: "unseen" }, "unusual"),
              ),
            run.error && make("span", { class: "explained" }, foreign(run.error)),
          ),
          make("td", { class: "number" }, aged(run.requested_at ?? run.started_at)),
          make("td", { class: "number from-tablet" }, duration(run.duration_ms)),
          counts.map(([name, className]) =>
            make(
              "td",
              { class: `number ${className} ${name === "dead_lettered" && run.counts[name] ? "down" : ""}` },
              count(run.counts[name]),
            ),
          ),
        ),
      ),
    ),
  );
}

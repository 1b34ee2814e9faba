// The panels of the pipeline: each a pure function from an answer of the API to elements.

import { aged, foreign, make } from "./dom.js";
import { NOTHING, age, count, duration, words } from "./format.js";
import { emptiness } from "./notices.js";

const STATUS = { succeeded: "good", failed: "bad", skipped: "dull", requested: "calm", running: "calm", published: "calm" };
const PROGRESS = { idle: ["Nothing to read", "good"], moving: ["Moving", "calm"], stalled: ["Stalled", "bad"], unknown: ["Not watched long enough yet", "dull"] };

/** A run's status as a chip. */
export function statusChip(status) {
  return make("span", { class: `chip ${STATUS[status] ?? "dull"}` }, status);
}

/** What is wrong now, first; then what was. */
export function incidents({ open, incidents: all }) {
  if (all.length === 0) return emptiness("Nothing has gone wrong.", "Whatever operators must know of is told here, and in Slack where SLACK_WEBHOOK_URL is set.");
  return make(
    "div",
    {},
    make("p", { class: `summary ${open ? "bad" : "good"}` }, open ? `${count(open)} open` : "None open"),
    make("ul", { class: "incidents" }, all.slice(0, 8).map((incident) => make(
      "li",
      { class: incident.closed_at ? "over" : "open" },
      make("p", {}, make("span", { class: `chip ${incident.closed_at ? "dull" : "bad"}` }, incident.closed_at ? "over" : "open"), " ", make("strong", {}, foreign(incident.words))),
      make("p", { class: "aside" }, incident.closed_at ? "over " : "since ", aged(incident.closed_at ?? incident.opened_at), !incident.closed_at && [". ", foreign(incident.advice)]),
    ))),
  );
}

/** Where the normalizer stands in each partition. */
export function lag({ group, members, checkpoints }) {
  const widest = Math.max(0, ...checkpoints.map((each) => each.partitions.length));
  const numbers = Array.from({ length: widest }, (_, index) => index);
  return make(
    "div",
    {},
    make("p", { class: "summary" }, make("code", {}, group), `, ${count(members)} ${members === 1 ? "member" : "members"}${members ? "" : ": nobody consumes"}`),
    make(
      "table",
      { class: "lag", "aria-label": "Lag by partition" },
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Topic"), make("th", { scope: "col" }, "State"), make("th", { scope: "col", class: "number" }, "Behind"), numbers.map((number) => make("th", { scope: "col", class: "number" }, make("span", { class: "unseen" }, "Partition "), String(number))))),
      make("tbody", {}, checkpoints.map((each) => make(
        "tr",
        {},
        make("th", { scope: "row" }, each.topic),
        make("td", {}, make("span", { class: `chip ${PROGRESS[each.status][1]}` }, PROGRESS[each.status][0])),
        make("td", { class: "number" }, behind(each)),
        numbers.map((number) => partition(each.partitions[number])),
      ))),
    ),
  );
}

function behind({ lag_messages: messages, lag_seconds: seconds }) {
  return messages === 0 ? "0" : `${count(messages)}${seconds === null ? "" : `, ${age(1_000 * seconds)}`}`;
}

function partition(found) {
  if (found === undefined) return make("td", { class: "number" }, NOTHING);
  const level = found.lag_messages === 0 ? "none" : found.status === "stalled" ? "stalled" : found.lag_messages < 1_000 ? "some" : "much";
  return make("td", { class: `number cell ${level}`, title: `committed ${found.committed ?? "never"}, log end ${found.log_end}` }, count(found.lag_messages));
}

/** The latest runs and what came of their rows. */
export function runs({ runs: all }) {
  if (all.length === 0) return emptiness("No run has been recorded.", "The sources run by their schedule, or by the buttons above.");
  const counts = [["fetched", "from-phone"], ["unchanged", "from-tablet"], ["stored", ""], ["duplicate", "from-tablet"], ["dead_lettered", "from-phone"]];
  return make(
    "table",
    { class: "runs", "aria-label": "The latest runs" },
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Source"), make("th", { scope: "col" }, "Status"), make("th", { scope: "col", class: "number" }, "Began"), make("th", { scope: "col", class: "number from-tablet" }, "Took"), counts.map(([name, className]) => make("th", { scope: "col", class: `number ${className}` }, words(name))))),
    make("tbody", {}, all.map((run) => make(
      "tr",
      {},
      make("th", { scope: "row" }, run.source, run.trigger === "manual" && make("span", { class: "aside" }, " by hand")),
      make("td", {}, statusChip(run.status), run.anomalies.length > 0 && make("span", { class: "warned", title: run.anomalies.map((each) => each.words).join("; ") }, make("span", { "aria-hidden": "true" }, " ⚠"), make("span", { class: "unseen" }, "unusual")), run.error && make("span", { class: "explained" }, foreign(run.error))),
      make("td", { class: "number" }, aged(run.requested_at ?? run.started_at)),
      make("td", { class: "number from-tablet" }, duration(run.duration_ms)),
      counts.map(([name, className]) => make("td", { class: `number ${className} ${name === "dead_lettered" && run.counts[name] ? "down" : ""}` }, count(run.counts[name]))),
    ))),
  );
}

/** What was set aside, by source and class. */
export function deadLetters({ dead_letters: classes, total }) {
  if (classes.length === 0) return emptiness("Nothing was set aside.", "A record that can never be applied would be counted here, with its reason in ticks.dead-letter.");
  const states = ["waiting", "redriven", "dropped", "repeats"];
  return make(
    "div",
    {},
    make("p", { class: `summary ${total.waiting ? "bad" : "good"}` }, `${count(total.waiting)} waiting`),
    make(
      "table",
      { class: "letters", "aria-label": "Dead letters by source and class" },
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Class"), make("th", { scope: "col" }, "Source"), states.map((state) => make("th", { scope: "col", class: `number ${state === "waiting" ? "" : "from-tablet"}` }, state)), make("th", { scope: "col", class: "number from-phone" }, "Last"))),
      make("tbody", {}, classes.map((each) => make(
        "tr",
        {},
        make("th", { scope: "row" }, words(each.error_class)),
        make("td", {}, each.source ?? NOTHING),
        states.map((state) => make("td", { class: `number ${state === "waiting" ? "" : "from-tablet"}` }, count(each[state]))),
        make("td", { class: "number from-phone" }, aged(each.last_failed_at)),
      ))),
    ),
  );
}

const GAPS = {
  runs_missed: (gap) => `${count(gap.runs)} scheduled ${gap.runs === 1 ? "run" : "runs"} that nobody was there to make`,
  offsets_lost: (gap) => `offsets ${count(gap.from_offset)} to ${count(gap.to_offset)} of ${gap.topic}/${gap.partition} were gone before ${gap.group} had read them`,
  shard_failed: (gap) => `shard ${gap.shard}: ${gap.error}`,
};

/** What is known to be missing. */
export function gaps({ gaps: all }) {
  if (all.length === 0) return emptiness("Nothing is known to be missing.", "Missed runs, lost offsets and failed shards of the last 60 days would be listed here.");
  return make("ul", { class: "gaps" }, all.map((gap) => make("li", {}, make("span", { class: "chip dull" }, words(gap.kind)), " ", make("strong", {}, gap.source ?? NOTHING), " ", foreign(GAPS[gap.kind]?.(gap) ?? ""), make("span", { class: "aside" }, " ", aged(gap.found_at)))));
}

/** How sources' rows have changed their shape, and what is unusual about their last runs. */
export function driftAndAnomalies({ sources }) {
  const drifted = sources.flatMap((each) => each.drift.recent.slice(0, 5).map((found) => make("li", {}, make("span", { class: "chip calm" }, words(found.kind)), " ", make("strong", {}, each.source), " ", make("code", {}, foreign(found.field)), ` ${types(found.was)} → ${types(found.now)}`, make("span", { class: "aside" }, " ", aged(found.found_at)))));
  const unusual = sources.flatMap((each) => (each.last_run?.anomalies ?? []).map((found) => make("li", {}, make("span", { class: "chip bad" }, words(found.kind)), " ", make("strong", {}, each.source), " ", foreign(found.words))));
  if (drifted.length + unusual.length === 0) return emptiness("Nothing is unusual.", "Fields that appear, vanish or change their type, and runs unlike those before them, are told here and stop nothing.");
  return make("ul", { class: "gaps" }, unusual, drifted);
}

function types(names) {
  return names.length ? names.join(" | ") : "none";
}

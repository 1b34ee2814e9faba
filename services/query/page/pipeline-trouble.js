// What went wrong in the pipeline, what is missing, and what is unlike before.

import { aged, foreign, make } from "./dom.js";
import { NOTHING, count, words } from "./format.js";
import { emptiness } from "./notices.js";

/** What is wrong now, first; then what was. */
export function incidents({ open, incidents: all }) {
  if (all.length === 0)
    return emptiness(
      "Nothing has gone wrong.",
      "Whatever operators must know of is told here, and in Slack where SLACK_WEBHOOK_URL is set.",
    );
  return make(
    "div",
    {},
    make("p", { class: `summary ${open ? "bad" : "good"}` }, open ? `${count(open)} open` : "None open"),
    make(
      "ul",
      { class: "incidents" },
      all
        .slice(0, 8)
        .map((incident) =>
          make(
            "li",
            { class: incident.closed_at ? "over" : "open" },
            make(
              "p",
              {},
              make("span", { class: `chip ${incident.closed_at ? "dull" : "bad"}` }, incident.closed_at ? "over" : "open"),
              " ",
              make("strong", {}, foreign(incident.words)),
            ),
            make(
              "p",
              { class: "aside" },
              incident.closed_at ? "over " : "since ",
              aged(incident.closed_at ?? incident.opened_at),
              !incident.closed_at && [". ", foreign(incident.advice)],
            ),
          ),
        ),
    ),
  );
}

/** What was set aside, by source and class. */
export function deadLetters({ dead_letters: classes, total }) {
  if (classes.length === 0)
    return emptiness(
      "Nothing was set aside.",
      "A record that can never be applied would be counted here, with its reason in ticks.dead-letter.",
    );
  const states = ["waiting", "redriven", "dropped", "repeats"];
  return make(
    "div",
    {},
    make("p", { class: `summary ${total.waiting ? "bad" : "good"}` }, `${count(total.waiting)} waiting`),
    make(
      "table",
      { class: "letters", "aria-label": "Dead letters by source and class" },
      make(
        "thead",
        {},
        make(
          "tr",
          {},
          make("th", { scope: "col" }, "Class"),
          make("th", { scope: "col" }, "Source"),
          states.map((state) => make("th", { scope: "col", class: `number ${state === "waiting" ? "" : "from-tablet"}` }, state)),
          make("th", { scope: "col", class: "number from-phone" }, "Last"),
        ),
      ),
      make(
        "tbody",
        {},
        classes.map((each) =>
          make(
            "tr",
            {},
            make("th", { scope: "row" }, words(each.error_class)),
            make("td", {}, each.source ?? NOTHING),
            states.map((state) =>
              make("td", { class: `number ${state === "waiting" ? "" : "from-tablet"}` }, count(each[state])),
            ),
            make("td", { class: "number from-phone" }, aged(each.last_failed_at)),
          ),
        ),
      ),
    ),
  );
}

const GAPS = {
  runs_missed: (gap) => `${count(gap.runs)} scheduled ${gap.runs === 1 ? "run" : "runs"} that nobody was there to make`,
  offsets_lost: (gap) =>
    `${gap.group} found offsets ${count(gap.from_offset)} to ${count(gap.to_offset)} of ${gap.topic}/${gap.partition} gone`,
  shard_failed: (gap) => `shard ${gap.shard}: ${gap.error}`,
};

/** What is known to be missing. */
export function gaps({ gaps: all }) {
  if (all.length === 0)
    return emptiness(
      "Nothing is known to be missing.",
      "Missed runs, lost offsets and failed shards of the last 60 days would be listed here.",
    );
  return make(
    "ul",
    { class: "gaps" },
    all.map((gap) =>
      make(
        "li",
        {},
        make("span", { class: "chip dull" }, words(gap.kind)),
        " ",
        make("strong", {}, gap.source ?? NOTHING),
        " ",
        foreign(GAPS[gap.kind]?.(gap) ?? ""),
        make("span", { class: "aside" }, " ", aged(gap.found_at)),
      ),
    ),
  );
}

/** How sources' rows have changed their shape, and what is unusual about their last runs. */
export function driftAndAnomalies({ sources }) {
  const drifted = sources.flatMap((each) =>
    each.drift.recent
      .slice(0, 5)
      .map((found) =>
        make(
          "li",
          {},
          make("span", { class: "chip calm" }, words(found.kind)),
          " ",
          make("strong", {}, each.source),
          " ",
          make("code", {}, foreign(found.field)),
          ` ${types(found.was)} → ${types(found.now)}`,
          make("span", { class: "aside" }, " ", aged(found.found_at)),
        ),
      ),
  );
  const unusual = sources.flatMap((each) =>
    (each.last_run?.anomalies ?? []).map((found) =>
      make(
        "li",
        {},
        make("span", { class: "chip bad" }, words(found.kind)),
        " ",
        make("strong", {}, each.source),
        " ",
        foreign(found.words),
      ),
    ),
  );
  if (drifted.length + unusual.length === 0)
    return emptiness(
      "Nothing is unusual.",
      "Fields that appear, vanish or change their type, and runs unlike those before them, are told here and stop nothing.",
    );
  return make("ul", { class: "gaps" }, unusual, drifted);
}

function types(names) {
  return names.length ? names.join(" | ") : "none";
}

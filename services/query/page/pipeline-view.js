// The pipeline as it runs. Each panel asks for itself: what is away takes its own panel with it, and no other.

import { get } from "./api.js";
import { make } from "./dom.js";
import { every } from "./live.js";
import { showFeed, showTrouble, skeleton } from "./notices.js";
import { deadLetters, driftAndAnomalies, gaps, incidents } from "./pipeline-trouble.js";
import { lag, runs } from "./pipeline-work.js";
import { sourceCards } from "./source-card.js";

const LOOK_MS = 5_000;

export function pipelineView(_route, { title }) {
  const cards = sourceCards({ onFinished: () => look() });
  const panels = [
    panel("incidents", "Incidents", "/stats/incidents", incidents),
    panel("sources", "Sources", "/stats/sources", (found) => cards.take(found.sources)),
    panel("lag", "Lag of the normalizer", "/stats/checkpoints", lag, { wide: true }),
    panel("runs", "Runs", "/stats?limit=15", runs),
    panel("drift", "Drift and anomalies", "/stats/sources", driftAndAnomalies),
    panel("letters", "Dead letters", "/stats/dead-letters", deadLetters),
    panel("gaps", "Gaps", "/stats/gaps?limit=15", gaps),
  ];
  const element = make(
    "section",
    {},
    make("div", { class: "heading" }, make("h1", { tabindex: "-1" }, "Pipeline")),
    make(
      "div",
      { class: "panels" },
      panels.map((each) => each.element),
    ),
  );
  const closing = new AbortController();
  title("Pipeline");

  async function look() {
    const asked = new Map(); // what two panels show is asked for once
    const once = (path) => asked.get(path) ?? asked.set(path, get(path, closing.signal)).get(path);
    const answered = await Promise.all(panels.map((each) => each.look(once, closing.signal)));
    if (!closing.signal.aborted) showFeed(answered.some(Boolean) ? "asking" : "away");
  }

  const onVisibility = () => document.hidden && showFeed("resting");
  document.addEventListener("visibilitychange", onVisibility);
  const stop = every(LOOK_MS, look);
  return {
    element,
    close() {
      stop();
      document.removeEventListener("visibilitychange", onVisibility);
      closing.abort();
      cards.close();
    },
  };
}

/**
 * A part of the page that shows one answer of the API; `look` returns whether there was one.
 * A wide one scrolls by itself, by keys too.
 */
function panel(id, heading, path, render, { wide = false } = {}) {
  const scrolling = wide ? { role: "region", tabindex: "0", "aria-label": `${heading}, by partition` } : {};
  const body = make("div", { class: wide ? "scroller" : null, ...scrolling }, skeleton(3));
  const message = make("div");
  const element = make(
    "section",
    { class: "panel", id: `panel-${id}`, "aria-labelledby": `${id}-title` },
    make("h2", { id: `${id}-title` }, heading),
    message,
    body,
  );
  let said = null;
  return {
    element,
    async look(once, signal) {
      try {
        const found = await once(path);
        const text = JSON.stringify(found);
        if (text !== said) {
          const shown = render(found);
          if (body.firstChild !== shown || body.childNodes.length !== 1) body.replaceChildren(shown);
        }
        said = text;
        message.replaceChildren();
        element.classList.remove("stale");
        return true;
      } catch (error) {
        if (signal.aborted) return false;
        if (error.status === undefined) throw error;
        element.classList.toggle("stale", said !== null);
        if (said === null) body.replaceChildren();
        showTrouble(message, error);
        return false;
      }
    },
  };
}

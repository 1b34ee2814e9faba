// A run by hand: from the click, over the token if there is one, to its end.

import { get } from "./api.js";
import { make, say } from "./dom.js";
import { count, duration } from "./format.js";
import { pause } from "./live.js";
import { announce } from "./notices.js";
import { postWithToken } from "./token.js";

const STEPS = ["requested", "running", "published", "succeeded"];
const OVER = new Set(["succeeded", "failed", "skipped"]);
const LOOK_MS = 700;
const UNTAKEN_MS = 15_000;

/** The button of a source, and the line that shows how far its run is. */
export function manualRun(source, onFinished) {
  const button = make("button", { type: "button", class: "run", onclick: start }, "Run now");
  button.setAttribute("aria-label", `Run ${source} now`);
  const steps = STEPS.map((step) => make("li", {}, step));
  const words = make("p", { class: "run-words" });
  const element = make("div", { class: "progress", hidden: true }, make("ol", { "aria-hidden": "true" }, steps), words);
  let allowed = true;
  let closing = new AbortController();

  async function start() {
    button.disabled = true;
    try {
      const asked = await postWithToken(`/etl/run-background/${encodeURIComponent(source)}`);
      if (asked !== null) await watch(asked);
    } catch (error) {
      if (!closing.signal.aborted) show("failed", error.message);
    }
    button.disabled = !allowed;
    if (document.activeElement === document.body) button.focus(); // it was lost when the button was put out of use
  }

  async function watch({ location }) {
    const { signal } = closing;
    const began = performance.now();
    let told = null;
    show("requested", "Asked for.");
    while (!signal.aborted) {
      const run = await found(location, signal);
      const said = described(run, performance.now() - began);
      show(run?.status ?? "requested", said);
      if (run?.status !== told) announce(`${source}: ${said}`);
      told = run?.status;
      if (run && OVER.has(run.status)) return onFinished();
      await pause(LOOK_MS, signal);
    }
  }

  function show(status, text) {
    element.hidden = false;
    element.dataset.status = status;
    const reached = STEPS.indexOf(OVER.has(status) ? "succeeded" : status);
    steps.forEach((step, index) => step.classList.toggle("reached", index <= reached));
    say(steps.at(-1), OVER.has(status) ? status : "succeeded");
    say(words, text);
  }

  return {
    button,
    element,
    allow(is) {
      allowed = is;
      button.hidden = !is;
    },
    close() {
      closing.abort();
      closing = new AbortController();
    },
  };
}

/** The run as recorded; null while nobody has recorded it, or nobody can say. */
async function found(location, signal) {
  try {
    return await get(location, signal);
  } catch (error) {
    if (error.status === 404 || error.status === 0 || error.status === 503) return null;
    throw error;
  }
}

function described(run, waited) {
  if (!run || run.status === "requested")
    return waited > UNTAKEN_MS
      ? "No producer has taken it yet. Does one run? One that starts within 10 minutes still takes it."
      : "Asked for.";
  const { counts } = run;
  const rows = ["fetched", "unchanged", "stored"].map((name) => `${count(counts[name])} ${name}`).join(", ");
  const aside = counts.dead_lettered ? `, ${count(counts.dead_lettered)} set aside` : "";
  if (run.status === "running") return `Fetching: ${count(counts.fetched)} rows so far.`;
  if (run.status === "published") return `${count(counts.published)} rows published; the normalizer applies them.`;
  if (run.status === "succeeded") return `Done in ${duration(run.duration_ms)}: ${rows}${aside}.`;
  return `${run.status === "failed" ? "Failed" : "Skipped"}: ${run.error ?? "nobody said why"}`;
}

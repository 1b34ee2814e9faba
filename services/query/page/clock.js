// What time it is where the data come from, and the ages that follow from it.

import { say } from "./dom.js";
import { age } from "./format.js";

const TRUSTED_MS = 2_000;
let ahead = 0;

/** Learn from an answer's Date how far the server's clock is ahead of ours; what a second's rounding explains is nothing. */
export function learnTime(header) {
  const there = Date.parse(header ?? "");
  if (Number.isNaN(there)) return;
  const difference = there - Date.now();
  ahead = Math.abs(difference) > TRUSTED_MS ? difference : 0;
}

/** Milliseconds since 1970 by the server's clock. */
export function now() {
  return Date.now() + ahead;
}

/** Keep every age on the page true, once a second, and while nobody looks not at all. */
export function startClock() {
  setInterval(() => {
    if (document.hidden) return;
    for (const element of document.querySelectorAll("time[data-age][datetime]")) tell(element);
  }, 1_000);
  // An age that is made before it is on the page is told by the first mutation that brings it there.
  new MutationObserver((changes) => {
    for (const change of changes) {
      if (change.type === "attributes") tell(change.target);
      for (const node of change.addedNodes) {
        if (node.nodeType === Node.ELEMENT_NODE) for (const element of agesIn(node)) tell(element);
      }
    }
  }).observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["datetime"] });
}

function agesIn(node) {
  const within = [...node.querySelectorAll("time[data-age][datetime]")];
  return node.matches("time[data-age][datetime]") ? [node, ...within] : within;
}

function tell(element) {
  if (!element.matches("time[data-age][datetime]")) return;
  const ms = now() - Date.parse(element.dateTime);
  say(element, element.hasAttribute("data-until") ? (ms < 0 ? `in ${age(-ms)}` : "now") : `${age(ms)} ago`);
}

// What the page says about itself: how it is connected, that numbers are old, that they are made up, whose they are.

import { make, say } from "./dom.js";

const FEED_WORDS = {
  connecting: "Connecting",
  live: "Live",
  asking: "Asking every 5 s",
  reconnecting: "Reconnecting",
  resting: "Resting",
  away: "API away",
};

/** Show how changes reach this page. */
export function showFeed(state) {
  document.getElementById("feed").dataset.state = state;
  say(document.getElementById("feed-words"), FEED_WORDS[state]);
}

/** Show what the service is: its version, and loudly whether its data are made up. */
export function showService(health) {
  document.getElementById("sandbox").hidden = !health.sandbox;
  say(document.getElementById("version"), `Kasparro ${health.version}`);
}

/** Show whose data these are, near them, with the links that the providers ask for. */
export function showAttribution(credits, place) {
  if (place.childElementCount === credits.length) return;
  place.replaceChildren(...credits.map((credit) => make("a", { href: safe(credit.url), rel: "noreferrer" }, credit.text)));
}

/** Tell those who listen and do not look. */
export function announce(text) {
  say(document.getElementById("announcer"), text);
}

/** A box that says what went wrong and what happens next. */
export function trouble(error, { again = null } = {}) {
  return make(
    "div",
    { class: "notice trouble", role: "alert" },
    make("p", {}, make("strong", {}, headline(error)), " ", error.message),
    again && make("button", { type: "button", class: "quiet", onclick: again }, "Try again"),
  );
}

/** Put such a box in its place. One that says the same stays: read out again at each try, it would drown all else. */
export function showTrouble(place, error, options = {}) {
  const box = trouble(error, options);
  if (place.textContent !== box.textContent) place.replaceChildren(box);
}

/** A box that says that there is nothing, and why that may be. */
export function emptiness(title, ...words) {
  return make("div", { class: "notice empty" }, make("p", {}, make("strong", {}, title)), make("p", {}, ...words));
}

/** Lines in the place of what is still to come, as high as that will be. */
export function skeleton(rows) {
  return make(
    "div",
    { class: "skeleton", "aria-hidden": "true" },
    Array.from({ length: rows }, () => make("span", { class: "bone" })),
  );
}

function headline(error) {
  if (error.status === 0) return "Nobody answers.";
  if (error.status === 404) return "There is no such thing.";
  return error.status >= 500 ? "Something is away." : "That did not work.";
}

function safe(url) {
  return /^https?:\/\//.test(url) ? url : "#";
}

// How a change is shown: always by a sign or an arrow as well as by its colour.

import { say } from "./dom.js";
import { ARROWS, direction, percent } from "./format.js";

const FLASH_MS = 1_200;

/** Show a change with its arrow, sign and colour. */
export function showChange(element, value) {
  const way = direction(value);
  element.classList.toggle("up", way === "up");
  element.classList.toggle("down", way === "down");
  say(element, ARROWS[way] ? `${ARROWS[way]} ${percent(value)}` : percent(value));
}

/** Let a price that has just changed be seen: a tint that fades, and an arrow for whoever sees no tints. */
export function flash(element, stir, difference) {
  const way = difference > 0 ? "rose" : "fell";
  element.classList.remove("rose", "fell");
  void element.offsetWidth; // or the same animation would not begin again
  element.classList.add(way);
  say(stir, difference > 0 ? "▴" : "▾");
  clearTimeout(element.calm);
  element.calm = setTimeout(() => {
    element.classList.remove(way);
    say(stir, "");
  }, FLASH_MS);
}

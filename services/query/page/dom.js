// Making elements. Text goes in as text nodes and attributes by name: nothing that came from data is ever read as markup.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element. Properties that begin with `on` are listeners, false and null leave an attribute out, true sets it empty. */
export function make(tag, properties = {}, ...children) {
  return filled(document.createElement(tag), properties, children);
}

/** Make an SVG element. */
export function draw(tag, properties = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), properties, children);
}

/** Text from a provider, kept from turning the text around it: symbols hold right-to-left marks, and worse. */
export function foreign(text, properties = {}) {
  return make("bdi", { dir: "auto", ...properties }, text);
}

/** Set an element's text, and nothing when it is that already: what is written again is laid out again. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A time that tells its own age, or how long until it comes; clock.js keeps it true. */
export function aged(moment, { until = false } = {}) {
  const element = make("time", { "data-age": true, "data-until": until });
  setAge(element, moment);
  return element;
}

/** Give an element of `aged` another time; null is no time. */
export function setAge(element, moment) {
  if (moment === null || moment === undefined) {
    element.removeAttribute("datetime");
    element.removeAttribute("title");
    say(element, "–");
    return;
  }
  if (element.dateTime === moment) return;
  element.dateTime = moment;
  element.title = moment;
}

function filled(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

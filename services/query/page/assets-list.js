// The list as elements: its heads, its rows in their order, its pages, and what stands there when there is none.

import { COLUMNS } from "./assets-row.js";
import { make, say } from "./dom.js";
import { count } from "./format.js";
import { emptiness, skeleton } from "./notices.js";
import { PER_PAGE, listAddress } from "./routes.js";

const TYPING_MS = 180;

/** Put rows in their order and move only those that are elsewhere. */
export function place(body, elements) {
  elements.forEach((element, index) => {
    if (body.children[index] !== element) body.insertBefore(element, body.children[index] ?? null);
  });
  while (body.children.length > elements.length) body.lastElementChild.remove();
}

export function layout(route, onSearch) {
  let typing = 0;
  const search = make("input", {
    type: "search",
    id: "search",
    value: route.search,
    placeholder: "Symbol or name",
    autocomplete: "off",
    spellcheck: "false",
    maxlength: "64",
    oninput: () => {
      clearTimeout(typing);
      typing = setTimeout(() => onSearch(search.value.trim()), TYPING_MS);
    },
  });
  const total = make("p", { class: "total", role: "status" });
  const heads = COLUMNS.map((column) => make("th", { scope: "col", class: column.className }));
  const body = make("tbody");
  const table = make(
    "table",
    { class: "assets", "aria-label": "Assets", "aria-busy": "true" },
    make("thead", {}, make("tr", {}, heads)),
    body,
  );
  const credits = make("p", { class: "credits", "aria-label": "Where the data come from" });
  const message = make("div");
  const bones = skeleton(12);
  const paging = make("nav", { class: "paging", "aria-label": "Pages" });
  const element = make(
    "section",
    {},
    make(
      "div",
      { class: "heading" },
      make("h1", { tabindex: "-1" }, "Assets"),
      total,
      make(
        "form",
        { role: "search", class: "search", onsubmit: (event) => event.preventDefault() },
        make("label", { for: "search", class: "unseen" }, "Search assets by symbol or name"),
        search,
      ),
    ),
    credits,
    message,
    table,
    bones,
    paging,
  );
  const parts = {
    element,
    search,
    total,
    heads,
    body,
    table,
    credits,
    message,
    bones,
    paging,
    trendLabel: make("span", {}, "Trend"),
  };
  showOrder(parts, route);
  return parts;
}

/** Heads are links: an order is an address. The first order of an amount is the largest first. */
export function showOrder(parts, route) {
  COLUMNS.forEach((column, index) => {
    const head = parts.heads[index];
    if (column.key === "spark" || !column.sort) {
      if (head.childElementCount === 0) head.append(column.key === "spark" ? parts.trendLabel : make("span", {}, column.label));
      return;
    }
    const [up, down] = [column.sort, `-${column.sort}`];
    const isSorted = route.sort === up || route.sort === down;
    const next = isSorted ? (route.sort === up ? down : up) : column.down ? down : up;
    const link = head.firstElementChild ?? head.appendChild(headLink(column));
    link.href = listAddress({ ...route, sort: next, page: 1 });
    say(link.querySelector(".arrow"), isSorted ? (route.sort === up ? "↑" : "↓") : "");
    if (isSorted) head.setAttribute("aria-sort", route.sort === up ? "ascending" : "descending");
    else head.removeAttribute("aria-sort");
  });
}

/** The arrow stands where it moves no number: in front of what ends at the right. */
function headLink(column) {
  const arrow = make("span", { "aria-hidden": "true", class: "arrow" });
  return make("a", {}, column.className.includes("number") ? [arrow, column.label] : [column.label, arrow]);
}

export function showPaging(parts, route, total) {
  const pages = Math.max(1, Math.ceil(total / PER_PAGE));
  say(parts.total, `${count(total)} ${route.search ? "found" : "in all"}`);
  parts.paging.hidden = pages === 1 && route.page === 1;
  const to = (page, words, rel) =>
    page < 1 || page > pages
      ? make("span", { class: "off" }, words)
      : make("a", { href: listAddress({ ...route, page }), rel }, words);
  const focused = parts.paging.contains(document.activeElement) ? document.activeElement.rel : null;
  parts.paging.replaceChildren(
    to(route.page - 1, "← Previous", "prev"),
    make("span", { class: "place" }, `Page ${count(route.page)} of ${count(pages)}`),
    to(route.page + 1, "Next →", "next"),
  );
  if (focused) (parts.paging.querySelector(`[rel="${focused}"]`) ?? parts.paging.querySelector("a"))?.focus();
}

export function nothing(route) {
  if (route.search) return emptiness("Nothing has that in its symbol or name.", make("a", { href: "#/" }, "Show all assets"));
  if (route.page > 1)
    return emptiness(
      "The list ends before this page.",
      make("a", { href: listAddress({ ...route, page: 1 }) }, "Its first page"),
    );
  return emptiness(
    "There are no assets yet.",
    "They appear here once a source has run. ",
    make("a", { href: "#/pipeline" }, "The pipeline"),
    " shows what the sources do, and can start one.",
  );
}

// All assets: a page of the list, kept alive, with search, order and trends.

import { get, query } from "./api.js";
import { COLUMNS, assetRow } from "./assets-row.js";
import { make, say } from "./dom.js";
import { count } from "./format.js";
import { Feed, every } from "./live.js";
import { emptiness, showAttribution, showFeed, skeleton, trouble } from "./notices.js";
import { PER_PAGE, listAddress } from "./routes.js";

const ORDER_MS = 30_000;
const TYPING_MS = 180;
/** What trends are drawn of: the first span that has enough in it. A fresh installation has minutes, an old one weeks. */
const TRENDS = [
  { interval: "1h", label: "7 d" },
  { interval: "5m", label: "12 h" },
  { interval: "1m", label: "2 h" },
];
const ENOUGH = 12;

export function assetsView(first, { title }) {
  let route = first;
  let rows = new Map();
  let feed = null;
  let following = "";
  let loading = new AbortController();
  const parts = layout(first, search);
  const stopOrdering = every(ORDER_MS, () => load({ quietly: rows.size > 0 }));
  title("Assets");

  /** Another page, order or search of the same list: the table stays where it is. */
  function follow(next) {
    route = next;
    if (parts.search.value.trim() !== route.search) parts.search.value = route.search;
    load();
    return true;
  }

  function search(text) {
    const address = listAddress({ ...route, search: text, page: 1 });
    if (address === location.hash || (address === "#/" && location.hash === "")) return;
    // Letter by letter is not a history that one wants to go back through.
    if (route.search && text) history.replaceState(null, "", address);
    else history.pushState(null, "", address);
    dispatchEvent(new HashChangeEvent("hashchange"));
  }

  async function load({ quietly = false } = {}) {
    loading.abort();
    loading = new AbortController();
    const { signal } = loading;
    if (!quietly) parts.table.setAttribute("aria-busy", "true");
    try {
      show(await fetchPage(signal));
    } catch (error) {
      if (!signal.aborted) fail(error);
    }
  }

  function fetchPage(signal) {
    const asked = { limit: PER_PAGE, offset: (route.page - 1) * PER_PAGE, sort: route.sort, search: route.search };
    return get(`/data${query(asked)}`, signal);
  }

  function show(page) {
    const kept = new Map();
    for (const asset of page.data) {
      const row = rows.get(asset.asset_uid) ?? assetRow(asset);
      row.take(asset);
      kept.set(asset.asset_uid, row);
    }
    const isNew = kept.size !== rows.size || [...kept.keys()].some((uid) => !rows.has(uid));
    rows = kept;
    place(parts.body, [...kept.values()].map((row) => row.element));
    parts.table.setAttribute("aria-busy", "false");
    parts.table.classList.remove("stale");
    parts.table.hidden = page.data.length === 0;
    showAttribution(page.attribution, parts.credits);
    showOrder(parts, route);
    showPaging(parts, route, page.total);
    parts.message.replaceChildren(...(page.data.length ? [] : [nothing(route)]));
    parts.bones?.remove();
    if (isNew) trends([...kept.keys()]);
    listen([...kept.keys()]);
  }

  function fail(error) {
    parts.table.setAttribute("aria-busy", "false");
    parts.table.classList.toggle("stale", rows.size > 0);
    if (error.status === 0 || error.status >= 500) showFeed("away");
    parts.message.replaceChildren(trouble(error, { again: () => load() }));
    parts.bones?.remove();
  }

  function listen(uids) {
    const wanted = [...uids].sort().join("\n");
    if (feed && wanted === following) return;
    feed?.close();
    following = wanted;
    feed = new Feed(uids, {
      ask: async (signal) => show(await fetchPage(signal)),
      onAsset: (asset) => rows.get(asset.asset_uid)?.take(asset),
      onRemoved: () => load({ quietly: true }),
      onState: (state) => {
        showFeed(state);
        parts.table.classList.toggle("stale", state === "away");
      },
    });
  }

  async function trends(uids) {
    if (uids.length === 0) return;
    const { signal } = loading;
    try {
      const asked = uids.filter((uid) => !uid.includes(",")).join(","); // a comma joins them, and none that has one can be asked for
      for (const { interval, label } of TRENDS) {
        const { data } = await get(`/data/sparklines${query({ uid: asked, interval })}`, signal);
        const longest = Math.max(0, ...data.map((one) => one.closes.filter((close) => close !== null).length));
        if (longest < ENOUGH && interval !== TRENDS.at(-1).interval) continue;
        // All begin where the first of them does: the same place is the same time in every row.
        const begin = Math.min(...data.map((one) => one.closes.findIndex((close) => close !== null)));
        for (const one of data) rows.get(one.asset_uid)?.trend(one.closes.slice(begin));
        say(parts.trendLabel, `Trend, ${label}`);
        return;
      }
    } catch {
      // A list without trends is a list; whatever keeps them away keeps the prices away too, and those tell of it.
    }
  }

  return {
    element: parts.element,
    follow,
    close() {
      loading.abort();
      stopOrdering();
      feed?.close();
    },
  };
}

/** Put rows in their order and move only those that are elsewhere. */
function place(body, elements) {
  elements.forEach((element, index) => {
    if (body.children[index] !== element) body.insertBefore(element, body.children[index] ?? null);
  });
  while (body.children.length > elements.length) body.lastElementChild.remove();
}

function layout(route, onSearch) {
  let typing = 0;
  const search = make("input", {
    type: "search", id: "search", value: route.search, placeholder: "Symbol or name", autocomplete: "off", spellcheck: "false", maxlength: "64",
    oninput: () => {
      clearTimeout(typing);
      typing = setTimeout(() => onSearch(search.value.trim()), TYPING_MS);
    },
  });
  const total = make("p", { class: "total", role: "status" });
  const heads = COLUMNS.map((column) => make("th", { scope: "col", class: column.className }));
  const body = make("tbody");
  const table = make("table", { class: "assets", "aria-label": "Assets", "aria-busy": "true" }, make("thead", {}, make("tr", {}, heads)), body);
  const credits = make("p", { class: "credits", "aria-label": "Where the data come from" });
  const message = make("div");
  const bones = skeleton(12);
  const paging = make("nav", { class: "paging", "aria-label": "Pages" });
  const element = make(
    "section",
    {},
    make("div", { class: "heading" }, make("h1", { tabindex: "-1" }, "Assets"), total,
      make("form", { role: "search", class: "search", onsubmit: (event) => event.preventDefault() },
        make("label", { for: "search", class: "unseen" }, "Search assets by symbol or name"), search)),
    credits,
    message, table, bones, paging,
  );
  const parts = { element, search, total, heads, body, table, credits, message, bones, paging, trendLabel: make("span", {}, "Trend") };
  showOrder(parts, route);
  return parts;
}

/** Heads are links: an order is an address. The first order of an amount is the largest first. */
function showOrder(parts, route) {
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

function showPaging(parts, route, total) {
  const pages = Math.max(1, Math.ceil(total / PER_PAGE));
  say(parts.total, `${count(total)} ${route.search ? "found" : "in all"}`);
  parts.paging.hidden = pages === 1 && route.page === 1;
  const to = (page, words, rel) =>
    page < 1 || page > pages ? make("span", { class: "off" }, words) : make("a", { href: listAddress({ ...route, page }), rel }, words);
  const focused = parts.paging.contains(document.activeElement) ? document.activeElement.rel : null;
  parts.paging.replaceChildren(
    to(route.page - 1, "← Previous", "prev"),
    make("span", { class: "place" }, `Page ${count(route.page)} of ${count(pages)}`),
    to(route.page + 1, "Next →", "next"),
  );
  if (focused) (parts.paging.querySelector(`[rel="${focused}"]`) ?? parts.paging.querySelector("a"))?.focus();
}

function nothing(route) {
  if (route.search) return emptiness("Nothing has that in its symbol or name.", make("a", { href: "#/" }, "Show all assets"));
  if (route.page > 1) return emptiness("The list ends before this page.", make("a", { href: listAddress({ ...route, page: 1 }) }, "Its first page"));
  return emptiness(
    "There are no assets yet.",
    "They appear here once a source has run. ",
    make("a", { href: "#/pipeline" }, "The pipeline"),
    " shows what the sources do, and can start one.",
  );
}

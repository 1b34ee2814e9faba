// All assets: a page of the list, kept alive, with search, order and trends.

import { get, query } from "./api.js";
import { layout, nothing, place, showOrder, showPaging } from "./assets-list.js";
import { assetRow } from "./assets-row.js";
import { say } from "./dom.js";
import { Feed, every } from "./live.js";
import { showAttribution, showFeed, showTrouble } from "./notices.js";
import { PER_PAGE, listAddress } from "./routes.js";

const ORDER_MS = 30_000;
const TRENDS_MS = 60_000;
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
  const stopTrends = every(TRENDS_MS, (signal) => trends([...rows.keys()], signal));
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
    place(
      parts.body,
      [...kept.values()].map((row) => row.element),
    );
    parts.table.setAttribute("aria-busy", "false");
    parts.table.classList.remove("stale");
    parts.table.hidden = page.data.length === 0;
    showAttribution(page.attribution, parts.credits);
    showOrder(parts, route);
    showPaging(parts, route, page.total);
    parts.message.replaceChildren(...(page.data.length ? [] : [nothing(route)]));
    parts.bones?.remove();
    if (isNew) trends([...kept.keys()], loading.signal);
    listen([...kept.keys()]);
  }

  function fail(error) {
    parts.table.setAttribute("aria-busy", "false");
    parts.table.classList.toggle("stale", rows.size > 0);
    if (error.status === 0 || error.status >= 500) showFeed("away");
    showTrouble(parts.message, error, { again: () => load() });
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

  async function trends(uids, signal) {
    if (uids.length === 0) return;
    try {
      const asked = uids.filter((uid) => !uid.includes(",")).join(","); // one that has a comma cannot be asked for
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
      stopTrends();
      feed?.close();
    },
  };
}

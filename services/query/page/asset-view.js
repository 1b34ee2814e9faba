// One asset: what it says now, how it came to that, and from whom.

import { assetPath, get } from "./api.js";
import { assetFigures, assetHeading, assetWarnings } from "./asset-facts.js";
import { candleChart, INTERVALS } from "./candle-chart.js";
import { make } from "./dom.js";
import { listingsOf } from "./listings.js";
import { Feed } from "./live.js";
import { showAttribution, showFeed, showTrouble, skeleton } from "./notices.js";
import { assetAddress } from "./routes.js";

const AGAIN_MS = 5_000;

export function assetView(first, { title }) {
  const { uid } = first;
  const heading = assetHeading();
  const figures = assetFigures();
  const message = make("div");
  const warnings = make("div");
  const listings = make("div", {}, skeleton(5));
  const credits = make("p", { class: "credits", "aria-label": "Where the data come from" });
  const chart = candleChart(uid, known(first.interval), (interval) => (location.hash = assetAddress(uid, interval)));
  const body = make("div", { class: "asset-body" }, make("div", { class: "asset-main" }, chart.element), figures.element);
  const element = make(
    "article",
    {},
    make("p", { class: "back" }, make("a", { href: "#/" }, "← All assets")),
    message,
    heading.element,
    warnings,
    body,
    listings,
    credits,
  );
  let version = 0;
  let feed = null;
  const loading = new AbortController();
  title(uid);

  async function load(signal) {
    const asset = await get(assetPath(uid), signal);
    message.replaceChildren();
    element.classList.remove("stale");
    showAttribution(
      asset.attribution.filter((credit) => asset.agreeing.some((listing) => listing.source === credit.source)),
      credits,
    );
    show(asset);
    listings.replaceChildren(listingsOf(asset));
  }

  function show(asset) {
    if (asset.version < version) return;
    version = asset.version;
    heading.take(asset);
    figures.take(asset);
    const found = assetWarnings(asset.warnings);
    warnings.replaceChildren(...(found ? [found] : []));
    title(`${asset.symbol} · ${asset.name}`);
  }

  function fail(error) {
    if (loading.signal.aborted) return;
    const gone = error.status === 404;
    if (gone) feed?.close();
    for (const part of [heading.element, body, listings]) part.hidden = gone;
    element.classList.toggle("stale", version > 0);
    if (!gone) showFeed("away");
    if (!gone && !feed) asking = setTimeout(start, AGAIN_MS);
    showTrouble(message, error, { again: gone ? null : () => start() });
  }

  /** Until the asset is there; then its feed keeps it true. */
  let asking = null;
  async function start() {
    clearTimeout(asking);
    try {
      await load(loading.signal);
      feed ??= new Feed([uid], {
        ask: load,
        // The stream tells what the asset says, and not what its listings do: those are asked for when it has changed.
        onAsset: (asset) => {
          if (asset.version <= version) return;
          show(asset);
          refreshListings();
        },
        onRemoved: () => load(loading.signal).catch(fail),
        onState: (state) => {
          showFeed(state);
          element.classList.toggle("stale", state === "away");
        },
      });
    } catch (error) {
      fail(error);
    }
  }

  let refreshing = null;
  function refreshListings() {
    refreshing ??= setTimeout(() => {
      refreshing = null;
      load(loading.signal).catch(() => {}); // the feed tells of an API that is away
    }, 1_000);
  }

  start();
  return {
    element,
    follow(next) {
      if (next.uid !== uid) return false;
      chart.show(known(next.interval));
      return true;
    },
    close() {
      loading.abort();
      clearTimeout(refreshing);
      clearTimeout(asking);
      chart.close();
      feed?.close();
    },
  };
}

function known(interval) {
  return INTERVALS.includes(interval) ? interval : null;
}

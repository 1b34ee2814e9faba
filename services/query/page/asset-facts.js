// What an asset says: its price, its figures, and what looks wrong about it.

import { flash, showChange } from "./changes.js";
import { aged, foreign, make, say, setAge } from "./dom.js";
import { NOTHING, compact, compactDollars, count, dollars, words } from "./format.js";

const WARNINGS = {
  volume_implausible: "The volume cannot be right for its market cap.",
  price_jumped: "The price moved tenfold, or to a tenth, within a day.",
  price_disagrees: "The listings that agree it is this asset differ by more than 20% in price.",
  market_cap_disagrees: "The market cap is not price times supply.",
};

/** The heading: name, price, changes. `take(asset)` shows a version. */
export function assetHeading() {
  const names = make("h1", { tabindex: "-1" });
  const value = make("span", { class: "value" });
  const stir = make("span", { class: "stir", "aria-hidden": "true" });
  const figure = make("p", { class: "figure" }, value, stir);
  const changes = [
    ["percent_change_1h", "1 h"],
    ["percent_change_24h", "24 h"],
    ["percent_change_7d", "7 d"],
  ].map(([field, label]) => {
    const shown = make("span", { class: "change" });
    return { field, shown, element: make("span", {}, make("i", {}, label), shown) };
  });
  const updated = aged(null);
  const element = make(
    "div",
    { class: "asset-heading" },
    names,
    figure,
    make(
      "p",
      { class: "changes" },
      changes.map((change) => change.element),
      make("span", {}, make("i", {}, "true as of"), updated),
    ),
  );
  let held = null;
  return {
    element,
    take(asset) {
      if (held?.name !== asset.name || held?.symbol !== asset.symbol)
        names.replaceChildren(foreign(asset.name), " ", foreign(asset.symbol, { class: "symbol" }));
      say(value, dollars(asset.price_usd));
      for (const { field, shown } of changes) showChange(shown, asset[field]);
      setAge(updated, asset.source_updated_at);
      if (held && held.price_usd !== asset.price_usd) flash(figure, stir, asset.price_usd - held.price_usd);
      held = asset;
    },
  };
}

/** The figures beside the chart. */
export function assetFigures() {
  const shown = Object.fromEntries(Object.keys(FIGURES).map((label) => [label, make("dd")]));
  const element = make(
    "dl",
    { class: "figures" },
    Object.keys(FIGURES).map((label) => make("div", {}, make("dt", {}, label), shown[label])),
  );
  return {
    element,
    take(asset) {
      for (const [label, figure] of Object.entries(FIGURES)) say(shown[label], figure(asset));
    },
  };
}

const FIGURES = {
  Rank: (asset) => count(asset.market_cap_rank),
  "Market cap": (asset) => compactDollars(asset.market_cap_usd),
  "Volume 24 h": (asset) => compactDollars(asset.volume_24h_usd),
  Circulating: (asset) => compact(asset.circulating_supply),
  "Total supply": (asset) => compact(asset.total_supply),
  "Most there can be": (asset) => compact(asset.max_supply),
  "Spread of sources": (asset) => (asset.price_spread_percent === null ? NOTHING : `${asset.price_spread_percent.toFixed(3)}%`),
  Version: (asset) => count(asset.version),
};

/** What looks wrong, in words; nothing when nothing does. */
export function assetWarnings(warnings) {
  if (!warnings?.length) return null;
  return make(
    "div",
    { class: "notice warning" },
    make("p", {}, make("strong", {}, "This does not look right, and is shown as it came.")),
    make(
      "ul",
      {},
      warnings.map((warning) => make("li", {}, WARNINGS[warning] ?? words(warning))),
    ),
  );
}

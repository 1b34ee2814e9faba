// One asset in the list. It is made once and changed cell by cell, so that nothing moves but what has changed.

import { flash, showChange } from "./changes.js";
import { aged, foreign, make, say, setAge } from "./dom.js";
import { compactDollars, count, price, words } from "./format.js";
import { assetAddress } from "./routes.js";
import { sparkline } from "./sparkline.js";

/** The columns, in their order: what they are called, what they sort by, and from which width on they are shown. */
export const COLUMNS = [
  { key: "rank", label: "#", sort: "rank", className: "rank number" },
  { key: "asset", label: "Asset", sort: "uid", className: "asset" },
  { key: "price", label: "Price, USD", sort: "price", down: true, className: "price number" },
  { key: "change1h", label: "1 h", className: "change number from-tablet" },
  { key: "change24h", label: "24 h", className: "change number from-phone" },
  { key: "change7d", label: "7 d", className: "change number from-tablet" },
  { key: "spark", label: "Trend", className: "trend" },
  { key: "cap", label: "Market cap", sort: "market_cap", down: true, className: "cap number from-phone" },
  { key: "volume", label: "Volume 24 h", sort: "volume", down: true, className: "volume number from-tablet" },
  { key: "source", label: "Source", className: "source from-desk" },
  { key: "updated", label: "True as of", sort: "updated_at", down: true, className: "updated number from-desk" },
];

/** Make a row; `take(asset)` shows a version of it, `trend(closes)` its sparkline. */
export function assetRow(asset) {
  const cells = Object.fromEntries(COLUMNS.map((column) => [column.key, make("td", { class: column.className })]));
  const link = make("a", { href: assetAddress(asset.asset_uid) });
  const warning = make("span", { class: "warned" });
  const under = make("span", { class: "change under" });
  const value = make("span", { class: "value" });
  const stir = make("span", { class: "stir", "aria-hidden": "true" });
  const updated = aged(null);
  cells.asset.append(link, warning);
  cells.price.append(make("span", { class: "line" }, stir, value), under);
  cells.updated.append(updated);
  const row = make(
    "tr",
    {},
    COLUMNS.map((column) => cells[column.key]),
  );
  let held = null;

  function take(next) {
    if (held && next.version < held.version) return; // a stream and an answer may cross
    say(cells.rank, count(next.market_cap_rank));
    if (held?.symbol !== next.symbol || held?.name !== next.name) {
      link.replaceChildren(foreign(next.symbol, { class: "symbol" }), " ", foreign(next.name, { class: "name" }));
    }
    say(value, price(next.price_usd));
    showChange(cells.change1h, next.percent_change_1h);
    showChange(cells.change24h, next.percent_change_24h);
    showChange(under, next.percent_change_24h);
    showChange(cells.change7d, next.percent_change_7d);
    say(cells.cap, compactDollars(next.market_cap_usd));
    say(cells.volume, compactDollars(next.volume_24h_usd));
    say(cells.source, next.taken.source);
    setAge(updated, next.source_updated_at);
    showWarnings(warning, next.warnings ?? []);
    if (held && held.price_usd !== next.price_usd) flash(row, stir, next.price_usd - held.price_usd);
    held = next;
  }

  take(asset);
  return { element: row, take, trend: (closes) => cells.spark.replaceChildren(sparkline(closes)), uid: asset.asset_uid };
}

function showWarnings(element, warnings) {
  const text = warnings.map(words).join(", ");
  element.title = text;
  element.replaceChildren(
    ...(text ? [make("span", { "aria-hidden": "true" }, "⚠"), make("span", { class: "unseen" }, `Warning: ${text}`)] : []),
  );
}

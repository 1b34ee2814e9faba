// What an asset was made from: the listing taken and why, those that agree, those that lost, and how far prices are apart.

import { aged, draw, foreign, make } from "./dom.js";
import { compactDollars, count, dollars, percent } from "./format.js";
import { linear } from "./scales.js";

/** Everything about the listings of an asset of GET /data/{uid}. */
export function listingsOf(asset) {
  const { taken, losers } = asset.listings;
  const agreeing = [...asset.listings.agreeing].sort((one, other) => isSame(other, taken) - isSame(one, taken));
  return make(
    "section",
    { class: "listings", "aria-labelledby": "listings-title" },
    make("h2", { id: "listings-title" }, "Where it comes from"),
    make("p", { class: "why" }, ...why(asset)),
    spread(agreeing, asset),
    table(
      "Listings that are this asset",
      agreeing,
      (quote) => (isSame(quote, taken) ? chip("taken", "good") : chip("agrees", "calm")),
      asset,
    ),
    losers.length > 0 &&
      make("h3", {}, `${count(losers.length)} of the same symbol that ${losers.length === 1 ? "does" : "do"} not count`),
    losers.length > 0 &&
      table("Listings that lost", losers, (quote) => chip(quote.reason === "stale" ? "stale" : "another asset", "dull"), asset, {
        explained: true,
      }),
  );
}

function why(asset) {
  const { taken, anchor, agreeing } = asset;
  const named = (listing) => [make("strong", {}, listing.source), " / ", foreign(listing.source_id)];
  const anchored = isSame(taken, anchor) ? ", which also gives it its name and rank" : null;
  return [
    "Its values are those of ",
    ...named(taken),
    anchored,
    agreeing.length > 1
      ? `: the freshest of ${agreeing.length} listings that are the same asset.`
      : ": no other listing is the same asset.",
    ...(anchored ? [] : [" Its name and rank are those of ", ...named(anchor), ", the best ranked."]),
  ];
}

/** The prices of the listings on one line, lowest to highest. */
function spread(agreeing, asset) {
  const priced = agreeing.filter((quote) => quote.price_usd !== null);
  if (priced.length < 2) return null;
  const prices = priced.map((quote) => quote.price_usd);
  const [low, high] = [Math.min(...prices), Math.max(...prices)];
  const x = linear([low, high], [8, 312]);
  const dots = priced.map((quote) =>
    draw("circle", {
      cx: x(quote.price_usd),
      cy: 10,
      r: isSame(quote, asset.taken) ? 6 : 4.5,
      class: isSame(quote, asset.taken) ? "taken" : "",
    }),
  );
  const apart = asset.price_spread_percent === null ? "" : `${asset.price_spread_percent.toFixed(3)}% apart`;
  return make(
    "figure",
    { class: "spread" },
    draw("svg", { viewBox: "0 0 320 20", "aria-hidden": "true" }, draw("line", { x1: 8, x2: 312, y1: 10, y2: 10 }), dots),
    make("figcaption", {}, make("span", {}, dollars(low)), make("strong", {}, apart), make("span", {}, dollars(high))),
  );
}

function table(label, quotes, state, asset, { explained = false } = {}) {
  const heads = [
    ["Listing"],
    ["Price, USD", "number"],
    ["Against it", "number from-phone"],
    ["Market cap", "number from-tablet"],
    ["Volume 24 h", "number from-tablet"],
    ["True as of", "number from-phone"],
    [""],
  ];
  return make(
    "table",
    { class: "quotes", "aria-label": label },
    make(
      "thead",
      {},
      make(
        "tr",
        {},
        heads.map(([head, className]) => (head ? make("th", { scope: "col", class: className }, head) : make("td"))),
      ),
    ),
    make(
      "tbody",
      {},
      quotes.map((quote) => row(quote, state(quote), asset, explained)),
    ),
  );
}

function row(quote, state, asset, explained) {
  const apart =
    quote.price_usd === null || !asset.price_usd ? null : (100 * (quote.price_usd - asset.price_usd)) / asset.price_usd;
  return make(
    "tr",
    {},
    make(
      "th",
      { scope: "row" },
      make("span", { class: "from" }, quote.source),
      " ",
      foreign(quote.name),
      make("span", { class: "id" }, foreign(quote.source_id)),
      explained && make("span", { class: "explained" }, quote.explanation),
    ),
    make("td", { class: "number" }, dollars(quote.price_usd)),
    make("td", { class: "number from-phone" }, percent(apart)),
    make("td", { class: "number from-tablet" }, compactDollars(quote.market_cap_usd)),
    make("td", { class: "number from-tablet" }, compactDollars(quote.volume_24h_usd)),
    make("td", { class: "number from-phone" }, aged(quote.source_updated_at)),
    make("td", {}, state),
  );
}

function chip(text, kind) {
  return make("span", { class: `chip ${kind}` }, text);
}

function isSame(one, other) {
  return one !== null && other !== null && one.source === other.source && one.source_id === other.source_id;
}

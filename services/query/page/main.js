// The page: one view at a time, by the address, each with a title, and the focus on its heading when one comes from another.

import { get } from "./api.js";
import { assetView } from "./asset-view.js";
import { assetsView } from "./assets-view.js";
import { startClock } from "./clock.js";
import { every } from "./live.js";
import { announce, showFeed, showService } from "./notices.js";
import { pipelineView } from "./pipeline-view.js";
import { parse } from "./routes.js";
import { startTheme } from "./theme.js";

const HEALTH_MS = 30_000;
const VIEWS = { assets: assetsView, asset: assetView, pipeline: pipelineView };

const main = document.getElementById("main");
let shown = null;

startTheme(document.getElementById("theme"));
startClock();
startSkipLink();
addEventListener("hashchange", () => go());
go({ first: true });
every(HEALTH_MS, async (signal) => {
  try {
    showService(await get("/health", signal));
  } catch {
    // What is away is told by the view, which needs it.
  }
});

function go({ first = false } = {}) {
  const route = parse(location.hash);
  mark(route);
  if (shown?.route.view === route.view && shown.follow?.(route)) {
    shown.route = route;
    return;
  }
  shown?.close();
  showFeed("connecting");
  const view = VIEWS[route.view](route, { title });
  shown = { route, ...view };
  main.replaceChildren(view.element);
  main.removeAttribute("aria-busy");
  if (first) return;
  scrollTo(0, 0);
  main.querySelector("h1")?.focus();
}

function title(words) {
  const whole = `${words} · Kasparro`;
  if (document.title === whole) return;
  document.title = whole;
  announce(words);
}

function mark(route) {
  const at = route.view === "asset" ? "assets" : route.view;
  for (const link of document.querySelectorAll("nav a[data-view]")) {
    if (link.dataset.view === at) link.setAttribute("aria-current", route.view === at ? "page" : "true");
    else link.removeAttribute("aria-current");
  }
}

/** #main is an element here and not a place of ours: the link moves the focus and leaves the address alone. */
function startSkipLink() {
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
}

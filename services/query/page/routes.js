// Where one is on the page, in the part of the address behind #: it works with the back button, and no server needs to know it.

export const PER_PAGE = 50;
export const FIRST_SORT = "rank";

/** No path can hold these: browsers and servers take them for the folder itself and the one above. */
const NO_SEGMENTS = new Set([".", ".."]);

/** Read an address: `{view, uid}` or `{view, search, sort, page}`. What cannot be read is the list of assets. */
export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split("?", 2);
  const parts = path.split("/").filter((part) => part !== "");
  if (parts[0] === "pipeline") return { view: "pipeline" };
  if (parts[0] === "asset" && parts.length === 2) {
    const uid = decoded(parts[1]);
    if (NO_SEGMENTS.has(uid)) return { view: "assets", search: uid, sort: FIRST_SORT, page: 1 };
    if (uid !== null) return { view: "asset", uid, interval: new URLSearchParams(query).get("interval") };
  }
  const asked = new URLSearchParams(query);
  const page = Number.parseInt(asked.get("page") ?? "1", 10);
  return { view: "assets", search: asked.get("q") ?? "", sort: asked.get("sort") ?? FIRST_SORT, page: page >= 1 ? page : 1 };
}

/** The address of an asset. */
export function assetAddress(uid, interval = null) {
  return `#/asset/${encodeURIComponent(uid)}${interval ? `?interval=${interval}` : ""}`;
}

/** The address of a page of the list. What is as it is at first is left out. */
export function listAddress({ search = "", sort = FIRST_SORT, page = 1 }) {
  const asked = new URLSearchParams();
  if (search) asked.set("q", search);
  if (sort !== FIRST_SORT) asked.set("sort", sort);
  if (page !== 1) asked.set("page", String(page));
  return `#/${asked.size ? `?${asked}` : ""}`;
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

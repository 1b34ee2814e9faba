// Asking the API. Every question has a deadline, and every failure is an ApiError that says what to do next.

import { learnTime } from "./clock.js";

const DEADLINE_MS = 10_000;

/** An answer that is no data. `status` 0: nobody answered. */
export class ApiError extends Error {
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

/** GET and return the body. The browser keeps answers by their ETag, so one that has not changed costs a 304. */
export function get(path, signal) {
  return ask(path, { signal });
}

/** POST without a body; with the token when one is held. */
export function post(path, token, signal) {
  return ask(path, { method: "POST", signal, headers: token ? { Authorization: `Bearer ${token}` } : {} });
}

/** A query string that says nothing of what is empty. Lists repeat their name. */
export function query(asked) {
  const written = new URLSearchParams();
  for (const [name, value] of Object.entries(asked)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== "" && one !== null && one !== undefined) written.append(name, one);
    }
  }
  return written.size ? `?${written}` : "";
}

/** What below /data is a path of its own. Only in lower case: in upper case the API takes such a word for the symbol. */
const NO_ASSETS = new Set(["count", "sparklines", "stream", "ws"]);

/** The path of an asset. */
export function assetPath(uid) {
  return `/data/${encodeURIComponent(NO_ASSETS.has(uid) ? uid.toUpperCase() : uid)}`;
}

async function ask(path, { signal, ...options }) {
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  let response;
  let body;
  try {
    response = await fetch(path, { ...options, signal: signal ? AbortSignal.any([signal, deadline]) : deadline });
    body = await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    if (response) throw new ApiError(response.status, "unreadable", "The API's answer cannot be read. Its log says more.");
    throw new ApiError(0, "away", "The API does not answer. This page asks again by itself.");
  }
  learnTime(response.headers.get("Date"));
  if (!response.ok) throw new ApiError(response.status, body.code ?? "unknown", body.detail ?? response.statusText);
  return body;
}

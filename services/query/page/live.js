// Changes as they happen: the event stream while there is one, and asking every few seconds while there is none.
//
// The stream is resumed by the browser with the id of the last event, and by us after a rest. What it cannot be had for (a
// server without it, too many readers) is no reason to show old numbers: then the page asks, and says that it does.

const ASK_MS = 5_000;
const STREAM_AGAIN_MS = 30_000;
const GREETING_MS = 6_000;
const LONGEST_ADDRESS = 7_500;

/**
 * Follow some assets until `close()`.
 *
 * `ask` fetches them all and is awaited; `onAsset(asset)` and `onRemoved(uid)` take what the stream says;
 * `onState(state)` is told `live`, `asking`, `reconnecting`, `resting` or `away` at each change.
 */
export class Feed {
  #uids;
  #hooks;
  #state = null;
  #source = null;
  #lastId = null;
  #asking = null;
  #timers = new Set();
  #closing = new AbortController();
  #onVisibility = () => (document.hidden ? this.#rest() : this.#wake());

  constructor(uids, hooks) {
    this.#uids = uids;
    this.#hooks = hooks;
    document.addEventListener("visibilitychange", this.#onVisibility);
    if (document.hidden) this.#become("resting");
    else this.#connect();
  }

  close() {
    this.#closing.abort();
    document.removeEventListener("visibilitychange", this.#onVisibility);
    this.#stop();
  }

  #connect() {
    const address = this.#address();
    if (address === null) return this.#ask();
    const source = new EventSource(address);
    this.#source = source;
    const greeted = this.#later(GREETING_MS, () => this.#ask()); // connected or not, nothing is heard
    source.addEventListener("hello", (event) => {
      this.#forget(greeted);
      this.#stopAsking();
      this.#note(event);
      this.#become("live");
    });
    source.addEventListener("asset", (event) => {
      this.#note(event);
      this.#hooks.onAsset(JSON.parse(event.data));
    });
    source.addEventListener("removed", (event) => {
      this.#note(event);
      this.#hooks.onRemoved(JSON.parse(event.data).asset_uid);
    });
    // What we hold may not be what there is; all of it follows, and what is gone does not.
    source.addEventListener("reset", () => this.#hooks.ask(this.#closing.signal).catch(() => {}));
    source.addEventListener("error", () => {
      if (source !== this.#source) return;
      if (source.readyState === EventSource.CLOSED) this.#refused();
      else this.#interrupted();
    });
  }

  /** The server answered, and not with a stream: it has none, or no room. */
  #refused() {
    this.#source.close();
    this.#source = null;
    this.#ask();
    this.#later(STREAM_AGAIN_MS, () => this.#connect());
  }

  /** The browser tries again by itself; meanwhile we ask, as far as there is somebody to ask. */
  #interrupted() {
    if (this.#state === "live" || this.#state === null) this.#become("reconnecting");
    this.#ask();
  }

  async #ask() {
    if (this.#asking || this.#closing.signal.aborted) return;
    const asking = new AbortController();
    this.#asking = asking;
    while (!asking.signal.aborted) {
      try {
        await this.#hooks.ask(asking.signal);
        if (!asking.signal.aborted) this.#become("asking");
      } catch (error) {
        if (asking.signal.aborted) break;
        if (error.status === undefined) reportError(error); // no answer of the API: our own mistake
        this.#become("away");
      }
      await pause(ASK_MS, asking.signal);
    }
  }

  #stopAsking() {
    this.#asking?.abort();
    this.#asking = null;
  }

  #rest() {
    this.#stop();
    this.#become("resting");
  }

  #wake() {
    if (!this.#closing.signal.aborted && this.#state === "resting") this.#connect();
  }

  #stop() {
    this.#source?.close();
    this.#source = null;
    this.#stopAsking();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  #note(event) {
    if (event.lastEventId) this.#lastId = event.lastEventId;
  }

  #become(state) {
    if (this.#closing.signal.aborted || state === this.#state) return;
    this.#state = state;
    this.#hooks.onState(state);
  }

  #later(ms, act) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms);
    this.#timers.add(timer);
    return timer;
  }

  #forget(timer) {
    clearTimeout(timer);
    this.#timers.delete(timer);
  }

  #address() {
    const asked = new URLSearchParams(this.#uids.map((uid) => ["uid", uid]));
    asked.set("snapshot", String(this.#lastId === null));
    if (this.#lastId !== null) asked.set("last_event_id", this.#lastId);
    const address = `/data/stream?${asked}`;
    const commas = this.#uids.some((uid) => uid.includes(",")); // the stream takes a comma for the end of a symbol
    return this.#uids.length === 0 || commas || address.length > LONGEST_ADDRESS ? null : address;
  }
}

/**
 * Ask for something every so often, at once to begin with, and not while nobody looks. Returns `close()`.
 * What it throws is told on the console, and does not keep it from asking again.
 */
export function every(ms, act) {
  const closing = new AbortController();
  (async () => {
    await Promise.resolve(); // a view that is being made is on the page by then
    while (!closing.signal.aborted) {
      try {
        if (!document.hidden) await act(closing.signal);
      } catch (error) {
        if (!closing.signal.aborted) reportError(error);
      }
      await pause(ms, closing.signal);
    }
  })();
  return () => closing.abort();
}

/** Wait, or return early: at the end of the wait nobody may want it any more, or the page may be looked at again. */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      document.removeEventListener("visibilitychange", seen);
      resolve();
    };
    const seen = () => document.hidden || done();
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
    document.addEventListener("visibilitychange", seen);
  });
}

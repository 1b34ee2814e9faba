// The API's token: asked for when the API asks, kept in this tab until it is closed, sent in a header and never in an address.

import { post } from "./api.js";
import { say } from "./dom.js";

const KEY = "kasparro-token";
/** What a header can hold. */
const SENDABLE = /^[\x20-\x7e\xa0-\xff]+$/;
let asking = null;

/** POST; when the API wants a token, ask for it and try again. Null: the person did not want to. */
export async function postWithToken(path) {
  let wrong = false;
  for (;;) {
    const sent = held();
    try {
      return await post(path, sent);
    } catch (error) {
      if (error.status !== 401) throw error;
      if (held() !== sent) continue; // one was given meanwhile, for another button
      wrong = sent !== null;
      forget();
      const given = await askForToken(wrong);
      if (given === null) return null;
      keep(given);
    }
  }
}

/** Whoever needs it meanwhile, such as the button of another source, waits for the same answer. */
function askForToken(wrong) {
  asking ??= shownDialog(wrong).finally(() => (asking = null));
  return asking;
}

function shownDialog(wrong) {
  const dialog = document.getElementById("token-dialog");
  const input = document.getElementById("token");
  const why = document.getElementById("token-why");
  why.dataset.first ??= why.textContent;
  why.textContent = wrong ? "That was not the token. Look at API_TOKEN of the query service." : why.dataset.first;
  why.classList.toggle("wrong", wrong);
  input.value = "";
  return new Promise((resolve) => {
    const listening = new AbortController();
    const end = (token) => {
      listening.abort();
      input.value = "";
      if (dialog.open) dialog.close();
      resolve(token);
    };
    const on = { signal: listening.signal };
    dialog.addEventListener("close", () => end(null), on);
    document.getElementById("token-cancel").addEventListener("click", () => end(null), on);
    document.getElementById("token-form").addEventListener(
      "submit",
      (event) => {
        event.preventDefault();
        const given = input.value.trim();
        if (SENDABLE.test(given)) end(given);
        else say(why, "That cannot be sent: it is empty, or has a character that no header holds, such as a curly quote.");
      },
      on,
    );
    dialog.showModal();
  });
}

function held() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function keep(token) {
  try {
    sessionStorage.setItem(KEY, token);
  } catch {
    // It is asked for again, then.
  }
}

function forget() {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // There was none.
  }
}

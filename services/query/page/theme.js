// The switch between the system's theme, light and dark. What is chosen stays in this browser.

const KEY = "kasparro-theme";
const NEXT = { auto: "light", light: "dark", dark: "auto" };
const LABELS = { auto: "Auto", light: "Light", dark: "Dark" };

/** Make the button go from one theme to the next. */
export function startTheme(button) {
  show(button, document.documentElement.dataset.theme ?? "auto");
  button.addEventListener("click", () => {
    const next = NEXT[document.documentElement.dataset.theme ?? "auto"];
    if (next === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    keep(next);
    show(button, next);
  });
}

function show(button, theme) {
  button.textContent = LABELS[theme];
  button.setAttribute("aria-label", `Theme: ${LABELS[theme]}. Change it`);
}

function keep(theme) {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Kept for this visit, then.
  }
}

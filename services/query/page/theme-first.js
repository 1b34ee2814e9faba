// Not a module, and first: the theme that was chosen here is set before anything is painted, so that nothing flashes.
try {
  const chosen = localStorage.getItem("kasparro-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // A browser that keeps nothing for us follows the system.
}

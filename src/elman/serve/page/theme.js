// Before anything is drawn, so that a page that was made dark never flashes.
try {
  const chosen = localStorage.getItem("elman.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // a browser that keeps nothing follows the system
}

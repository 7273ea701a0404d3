/**
 * Light or dark: as the system, unless the person picked one.
 */

const KEPT = "taskchat theme";

/** Show the page in the person's theme. */
export function applyTheme() {
  const chosen = theme();
  if (chosen === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}

/** @returns {string} */
export function theme() {
  return localStorage.getItem(KEPT) ?? "system";
}

/** @param {string} chosen */
export function keepTheme(chosen) {
  localStorage.setItem(KEPT, chosen);
  applyTheme();
}

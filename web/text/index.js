/**
 * The texts in the person's language, chosen once when the page starts.
 */

import { en } from "./en.js";

/** @typedef {typeof en} Texts */

const KEPT = "taskchat language";

/** Languages by their code; a table is read when it is needed. */
const TABLES = {
  en: async () => en,
  de: async () => (await import("./de.js")).de,
};

/** @typedef {keyof typeof TABLES} Language */

/** @type {Readonly<Record<Language, string>>} */
export const LANGUAGES = { en: "English", de: "Deutsch" };

/** @type {Texts} */
export let t = en;

/** The tag by which dates and numbers are written, as in `en-GB`. */
export let locale = "en";

/** Choose the language: the one that the person picked, or the first of the browser's that there is a table for. */
export async function chooseLanguage() {
  const preferred = navigator.languages.find((tag) => tag.slice(0, 2) in TABLES) ?? "en";
  const language = /** @type {Language} */ (localStorage.getItem(KEPT) ?? preferred.slice(0, 2));
  t = await (TABLES[language] ?? TABLES.en)();
  locale = preferred.startsWith(language) ? preferred : language;
  document.documentElement.lang = language;
}

/** @returns {Language} */
export function language() {
  return /** @type {Language} */ (document.documentElement.lang);
}

/** @param {string} chosen */
export function keepLanguage(chosen) {
  localStorage.setItem(KEPT, chosen);
}

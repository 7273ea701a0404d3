/**
 * Short notices: shown at the edge of the page, and read to people who do not see them.
 */

import { Problem } from "../api/problem.js";
import { h } from "../dom.js";
import { t } from "../text/index.js";
import { problemText } from "../text/problems.js";

/** Long enough to read a line and to reach its button (WCAG 2.2.1 leaves more time while the pointer is on it). */
const SHOWN_MS = 8000;
const READ_AFTER_MS = 50;

/** @returns {HTMLElement} */
function region(/** @type {string} */ id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/**
 * Read a text aloud, without showing it.
 *
 * @param {string} text
 */
export function announce(text) {
  const live = region("live");
  // The same text again is read only if the region was empty in between.
  live.textContent = "";
  setTimeout(() => (live.textContent = text), READ_AFTER_MS);
}

/**
 * Show a notice, with a button if there is something to do about it.
 *
 * @param {string} text
 * @param {{ label: string, run: () => unknown } | null} [action]
 * @param {"good" | "bad"} [kind]
 */
export function notify(text, action = null, kind = "good") {
  const button = action && h("button", { type: "button", class: "text-button", on: { click: () => (remove(), action.run()) } }, action.label);
  const notice = h("div", { class: `notice ${kind}` }, h("span", {}, text), button);
  const remove = () => notice.remove();
  let timer = setTimeout(remove, SHOWN_MS);
  const hold = () => clearTimeout(timer);
  const release = () => (timer = setTimeout(remove, SHOWN_MS));
  for (const event of ["pointerenter", "focusin"]) notice.addEventListener(event, hold);
  for (const event of ["pointerleave", "focusout"]) notice.addEventListener(event, release);
  region("notices").replaceChildren(notice);
  announce(text);
}

/**
 * Do something, and tell the person if it fails.
 *
 * @param {() => Promise<unknown>} work
 * @returns {Promise<boolean>} whether it worked
 */
export async function orTell(work) {
  try {
    await work();
    return true;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    notify(problemText(error), error.isPassing ? { label: t.tryAgain, run: () => orTell(work) } : null, "bad");
    return false;
  }
}

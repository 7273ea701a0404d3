/**
 * Problems in words.
 */

import { Problem } from "../api/problem.js";
import { fullText } from "./dates.js";
import { t } from "./index.js";

const LONG_WAIT_SECONDS = 120;

/**
 * Return a sentence that says what to do.
 *
 * @param {Problem} problem
 * @returns {string}
 */
export function problemText(problem) {
  const texts = /** @type {Record<string, string>} */ (t.problems);
  const text = texts[problem.code] ?? (problem.message || t.otherProblem);
  if (problem.code === "usage-limit-reached" && problem.retryAfterSeconds > LONG_WAIT_SECONDS) {
    const at = new Date(Date.now() + problem.retryAfterSeconds * 1000);
    return `${text} ${t.resetsAt(fullText(at.toISOString()))}`;
  }
  return text;
}

/**
 * A quiet meter of today's allowance. It stays away where there is no limit.
 *
 * @import { Routes } from "../api/routes.js"
 */

import { Problem } from "../api/problem.js";
import { fill, h } from "../dom.js";
import { dueText } from "../text/dates.js";
import { locale, t } from "../text/index.js";

/**
 * @param {Routes} routes
 */
export function usageView(routes) {
  const element = h("div", { class: "usage" });
  const refresh = async () => {
    try {
      show(element, await routes.usage());
    } catch (error) {
      // The meter is not worth a word: the chat says so when the limit is reached.
      if (!(error instanceof Problem)) throw error;
    }
  };
  return { element, refresh };
}

/**
 * @param {HTMLElement} element
 * @param {{ tokens: number, resets_at: string, limits: { tokens_per_day: number } }} usage
 */
function show(element, { tokens, resets_at: resetsAt, limits }) {
  if (!limits.tokens_per_day) return fill(element);
  const share = Math.min(1, tokens / limits.tokens_per_day);
  const text = t.usage(new Intl.NumberFormat(locale, { style: "percent" }).format(share));
  const meter = h("meter", { min: 0, max: 1, high: 0.9, value: share, "aria-label": text });
  fill(element, meter, h("small", { class: "quiet", title: t.usageResets(dueText(resetsAt)) }, text));
}

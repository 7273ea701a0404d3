/**
 * The little Markdown that models write, as elements: paragraphs, lists, headings, code, bold, italic and links.
 *
 * Elements are built one by one, so text never becomes markup.
 */

import { h } from "../dom.js";

const BULLET = /^\s*[-*•]\s+/;
const NUMBER = /^\s*\d+[.)]\s+/;
const HEADING = /^#{1,6}\s+/;
const FENCE = /^\s*```/;
const INLINE = /(`[^`\n]+`)|(\*\*[^*\n]+\*\*)|(\*[^*\s][^*\n]*\*)|(\[[^\]\n]+\]\(https?:\/\/[^\s)]+\))|(https?:\/\/[^\s<>()]+[^\s<>().,;:!?])/g;

/**
 * @param {string} text
 * @returns {DocumentFragment}
 */
export function markdown(text) {
  const fragment = document.createDocumentFragment();
  const lines = text.split("\n");
  for (let at = 0; at < lines.length; ) {
    const line = lines[at];
    if (!line.trim()) {
      at += 1;
    } else if (FENCE.test(line)) {
      const code = take(lines, at + 1, (next) => !FENCE.test(next));
      fragment.append(h("pre", {}, h("code", {}, code.join("\n"))));
      at += code.length + 2;
    } else if (BULLET.test(line) || NUMBER.test(line)) {
      const marker = BULLET.test(line) ? BULLET : NUMBER;
      const items = take(lines, at, (next) => marker.test(next));
      fragment.append(h(marker === BULLET ? "ul" : "ol", {}, ...items.map((item) => h("li", {}, ...inline(item.replace(marker, ""))))));
      at += items.length;
    } else if (HEADING.test(line)) {
      fragment.append(h("p", {}, h("strong", {}, ...inline(line.replace(HEADING, "")))));
      at += 1;
    } else {
      const isText = (/** @type {string} */ next) => next.trim() !== "" && ![FENCE, BULLET, NUMBER, HEADING].some((mark) => mark.test(next));
      const paragraph = take(lines, at, isText);
      fragment.append(h("p", {}, ...paragraph.flatMap((part, index) => (index ? [h("br"), ...inline(part)] : inline(part)))));
      at += paragraph.length;
    }
  }
  return fragment;
}

/**
 * Return the lines from `at` on, as long as they fit.
 *
 * @param {string[]} lines
 * @param {number} at
 * @param {(line: string) => boolean} fits
 */
function take(lines, at, fits) {
  const end = lines.findIndex((line, index) => index >= at && !fits(line));
  return lines.slice(at, end === -1 ? lines.length : end);
}

/**
 * @param {string} text
 * @returns {(Node | string)[]}
 */
function inline(text) {
  const parts = [];
  let at = 0;
  for (const found of text.matchAll(INLINE)) {
    parts.push(text.slice(at, found.index));
    parts.push(element(found));
    at = found.index + found[0].length;
  }
  parts.push(text.slice(at));
  return parts.filter((part) => part !== "");
}

/** @param {RegExpMatchArray} found */
function element([whole, code, bold, italic, link]) {
  if (code) return h("code", {}, code.slice(1, -1));
  if (bold) return h("strong", {}, ...inline(bold.slice(2, -2)));
  if (italic) return h("em", {}, italic.slice(1, -1));
  const [label, address] = link ? link.slice(1, -1).split("](") : [whole, whole];
  return h("a", { href: address, rel: "noopener noreferrer", target: "_blank" }, label);
}

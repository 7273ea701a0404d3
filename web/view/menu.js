/**
 * A menu at a button (ARIA Authoring Practices, menu button): arrow keys move, Escape closes.
 */

import { h, icon } from "../dom.js";

/** @typedef {{ icon: import("../dom.js").IconName, label: string, run: () => unknown }} MenuItem */

const GAP_PIXELS = 4;

/**
 * @param {HTMLElement} button
 * @param {MenuItem[]} items
 */
export function showMenu(button, items) {
  const close = (/** @type {boolean} */ givesFocusBack) => {
    menu.remove();
    button.setAttribute("aria-expanded", "false");
    removeEventListener("pointerdown", outside, true);
    removeEventListener("resize", away);
    if (givesFocusBack) button.focus();
  };
  const outside = (/** @type {Event} */ event) => {
    if (!menu.contains(/** @type {Node} */ (event.target))) close(false);
  };
  const away = () => close(false);
  const move = (/** @type {number} */ by) => {
    const at = buttons.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    buttons[(at + by + buttons.length) % buttons.length].focus();
  };
  const keydown = (/** @type {KeyboardEvent} */ event) => {
    const run = { ArrowDown: () => move(1), ArrowUp: () => move(-1), Escape: () => close(true), Tab: () => close(true) }[event.key];
    if (!run) return;
    event.preventDefault();
    event.stopPropagation();
    run();
  };
  const buttons = items.map(({ icon: name, label, run }) =>
    h("button", { type: "button", role: "menuitem", tabindex: "-1", on: { click: () => (close(true), run()) } }, icon(name), label),
  );
  const menu = h("div", { class: "menu", role: "menu", on: { keydown } }, ...buttons);
  document.body.append(menu);
  const place = button.getBoundingClientRect();
  const isBelow = place.bottom + menu.offsetHeight + GAP_PIXELS < innerHeight;
  menu.style.top = `${isBelow ? place.bottom + GAP_PIXELS : place.top - menu.offsetHeight - GAP_PIXELS}px`;
  menu.style.left = `${Math.max(GAP_PIXELS, Math.min(place.left, innerWidth - menu.offsetWidth - 2 * GAP_PIXELS))}px`;
  button.setAttribute("aria-expanded", "true");
  addEventListener("pointerdown", outside, true);
  addEventListener("resize", away);
  buttons[0].focus();
}

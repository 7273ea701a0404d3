/**
 * Dialogs. The browser keeps the focus inside, closes them with Escape, and gives the focus back.
 */

import { h, iconButton } from "../dom.js";
import { t } from "../text/index.js";

/**
 * Show a dialog until it is closed.
 *
 * @param {string} title
 * @param {(close: () => void) => (Node | string | false | null)[]} contents
 * @param {string} [kind] a class
 * @returns {Promise<void>}
 */
export function showDialog(title, contents, kind = "") {
  return new Promise((resolve) => {
    const close = () => dialog.close();
    const dialog = h(
      "dialog",
      { class: kind, "aria-labelledby": "dialog-title", on: { close: () => (dialog.remove(), resolve()) } },
      h("header", {}, h("h2", { id: "dialog-title" }, title), iconButton("close", t.close, close)),
      ...contents(close),
    );
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) close();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/**
 * Ask before something that cannot be undone.
 *
 * @param {string} title
 * @param {string} text
 * @param {string} label of the button
 * @param {{ word?: string }} [options] a word that has to be typed first
 * @returns {Promise<boolean>}
 */
export async function confirmed(title, text, label, { word } = {}) {
  let answer = false;
  await showDialog(
    title,
    (close) => {
      const button = h("button", { class: "button danger", disabled: Boolean(word) }, label);
      const typed = h("input", {
        class: "input",
        autocomplete: "off",
        on: { input: () => (button.disabled = typed.value.trim().toLowerCase() !== word) },
      });
      const submit = (/** @type {SubmitEvent} */ event) => {
        event.preventDefault();
        answer = true;
        close();
      };
      return [
        h(
          "form",
          { class: "stack", on: { submit } },
          h("p", {}, text),
          word ? h("label", { class: "field" }, h("span", {}, t.typeToConfirm(word)), typed) : null,
          h("div", { class: "row end" }, h("button", { type: "button", class: "button", on: { click: close } }, t.cancel), button),
        ),
      ];
    },
    "small",
  );
  return answer;
}

/**
 * Ask for a line of text.
 *
 * @param {string} title
 * @param {string} value
 * @param {string} label of the button
 * @param {number} longest
 * @returns {Promise<string | null>}
 */
export async function asked(title, value, label, longest) {
  /** @type {string | null} */
  let answer = null;
  await showDialog(
    title,
    (close) => {
      const input = h("input", { class: "input", value, maxlength: longest, required: true, autocomplete: "off", "aria-label": title });
      const submit = (/** @type {SubmitEvent} */ event) => {
        event.preventDefault();
        answer = input.value.trim() || null;
        close();
      };
      queueMicrotask(() => input.select());
      return [
        h(
          "form",
          { class: "stack", on: { submit } },
          input,
          h(
            "div",
            { class: "row end" },
            h("button", { type: "button", class: "button", on: { click: close } }, t.cancel),
            h("button", { class: "button primary" }, label),
          ),
        ),
      ];
    },
    "small",
  );
  return answer;
}

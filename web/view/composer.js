/**
 * The message box. Enter sends, Shift+Enter breaks the line.
 *
 * @import { Chat } from "../state/chat.js"
 */

import { fill, h, icon } from "../dom.js";
import { changesOf } from "../state/exchanges.js";
import { t } from "../text/index.js";
import { announce } from "./notices.js";

const LONGEST = 8000;
/** The count of characters is shown when this many are left. */
const SHORT_OF = 500;

/** @param {Chat} chat */
export function composer(chat) {
  const text = h("textarea", {
    id: "message",
    rows: 1,
    placeholder: t.messageHint,
    "aria-label": t.messageLabel,
    "aria-describedby": "message-note",
    enterkeyhint: "send",
    autocomplete: "off",
  });
  const note = h("p", { id: "message-note", class: "note" });
  const button = h("button", { type: "submit", class: "send" });
  const form = h("form", { class: "composer" }, note, h("div", { class: "box" }, text, button));
  /** @type {import("../state/exchanges.js").Exchange | null} */
  let editing = null;
  /** @type {number | null | undefined} */
  let shown;

  const draftPlace = () => `taskchat draft ${shown ?? "new"}`;
  const fit = () => {
    text.style.height = "auto";
    text.style.height = `${text.scrollHeight}px`;
  };
  const put = (/** @type {string} */ value) => {
    text.value = value;
    fit();
    showNote();
  };
  const left = () => LONGEST - text.value.length;

  const showNote = () => {
    const count = chat.editing && !chat.editing.isUndone ? chat.editing.calls.flatMap(changesOf).length : 0;
    const stop = () => (chat.edit(null), text.focus());
    fill(
      note,
      chat.editing && h("span", {}, count ? t.editingUndoes(count) : t.editing),
      chat.editing && h("button", { type: "button", class: "text-button", on: { click: stop } }, t.cancel),
      left() < SHORT_OF && h("span", { class: left() < 0 ? "bad" : "" }, left() < 0 ? t.tooLong(left()) : t.charactersLeft(left())),
    );
  };

  const show = () => {
    if (shown !== chat.id) {
      const isSame = shown === null && chat.sending !== null;
      shown = chat.id;
      if (!isSame) put(sessionStorage.getItem(draftPlace()) ?? "");
    }
    if (editing !== chat.editing) {
      editing = chat.editing;
      put(editing?.question?.content ?? "");
      if (editing) text.focus();
    }
    showNote();
    showButton();
  };
  let isStop = /** @type {boolean | null} */ (null);
  const showButton = () => {
    if (isStop === chat.isBusy) return;
    isStop = chat.isBusy;
    fill(button, icon(isStop ? "stop" : "send"));
    button.setAttribute("aria-label", isStop ? t.stop : t.send);
    button.title = isStop ? t.stop : t.send;
    button.classList.toggle("stop", isStop);
  };

  const submit = (/** @type {Event} */ event, /** @type {boolean} */ byKey) => {
    event.preventDefault();
    if (chat.isBusy) {
      if (byKey) announce(t.waitForAnswer);
      else if (chat.sending) chat.outbox.stop(chat.sending);
      return;
    }
    const message = text.value.trim();
    if (!message || left() < 0) return text.focus();
    sessionStorage.removeItem(draftPlace());
    editing = null;
    chat.send(message);
    put("");
  };
  form.addEventListener("submit", (event) => submit(event, false));
  text.addEventListener("input", () => {
    if (!chat.editing) sessionStorage.setItem(draftPlace(), text.value);
    fit();
    showNote();
  });
  text.addEventListener("keydown", (event) => {
    // While a word is being composed (Japanese, Chinese, …), Enter belongs to the input method.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event, true);
    else if (event.key === "ArrowUp" && !text.value && chat.last?.turnId) (event.preventDefault(), chat.edit(chat.last));
    else if (event.key === "Escape" && chat.editing) chat.edit(null);
  });
  chat.subscribe(show);
  show();
  return {
    element: form,
    focus: () => text.focus(),
    suggest: (/** @type {string} */ value) => (put(value), text.focus()),
  };
}

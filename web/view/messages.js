/**
 * The exchanges of the open conversation, the newest at the bottom.
 *
 * @import { Chat, Entry } from "../state/chat.js"
 */

import { Rows, fill, h } from "../dom.js";
import { isUndo } from "../state/exchanges.js";
import { t } from "../text/index.js";
import { problemText } from "../text/problems.js";
import { asText, describe } from "./changes.js";
import { exchangeRow } from "./exchange.js";
import { announce, orTell } from "./notices.js";

/** A person who is this close to the end wants to see what is new there. */
const AT_THE_END_PIXELS = 120;

/**
 * @param {Chat} chat
 * @param {(text: string) => void} suggest puts a text into the message box
 */
export function messagesView(chat, suggest) {
  const list = h("div", { class: "exchanges" });
  const notice = h("div", { class: "chat-notice" });
  const view = h("div", { class: "messages", tabindex: "-1" }, notice, list);
  const rows = new Rows(list, (/** @type {Entry} */ { key }) => key, (entry) => exchangeRow(entry, chat));
  /** @type {number | null | undefined} */
  let shown;
  let lastCount = 0;

  const show = () => {
    const isAtEnd = view.scrollHeight - view.scrollTop - view.clientHeight < AT_THE_END_PIXELS;
    const heightBelow = view.scrollHeight - view.scrollTop;
    const { entries } = chat;
    fill(notice, aboveExchanges(chat, suggest, entries.length));
    rows.show(entries);
    const isOther = shown !== chat.id && !(shown === null && chat.sending);
    const isNew = entries.length > lastCount;
    shown = chat.id;
    lastCount = entries.length;
    if (isOther || (isAtEnd && isNew) || isAtEnd) view.scrollTop = view.scrollHeight;
    else if (isNew) view.scrollTop = view.scrollHeight - heightBelow;
  };
  chat.subscribe(show);
  chat.subscribe(reader(chat));
  show();
  return view;
}

/**
 * @param {Chat} chat
 * @param {(text: string) => void} suggest
 * @param {number} count
 */
function aboveExchanges(chat, suggest, count) {
  if (chat.problem && !count) {
    const again = () => chat.reload();
    return h("div", { class: "trouble" }, h("p", {}, problemText(chat.problem)), h("button", { type: "button", class: "button small", on: { click: again } }, t.tryAgain));
  }
  if (chat.exchanges === null) return h("p", { class: "quiet centered" }, t.loading);
  if (chat.hasOlder) return h("button", { type: "button", class: "text-button centered", on: { click: () => orTell(() => chat.older()) } }, t.olderMessages);
  return count ? null : welcome(suggest);
}

/** @param {(text: string) => void} suggest */
function welcome(suggest) {
  const example = (/** @type {string} */ text) => h("li", {}, h("button", { type: "button", class: "example", on: { click: () => suggest(text) } }, text));
  return h("div", { class: "welcome" }, h("h2", {}, t.welcome), h("p", { class: "quiet" }, t.welcomeHint), h("ul", {}, ...t.examples.map(example)));
}

/**
 * Return a listener that reads new steps and the reply aloud.
 *
 * @param {Chat} chat
 */
function reader(chat) {
  let read = "";
  let steps = 0;
  return () => {
    const { sending } = chat;
    if (!sending) return;
    if (sending.key !== read) {
      read = sending.key;
      steps = 0;
      announce(t.working);
    }
    if (sending.state === "finished" && steps !== Infinity) {
      steps = Infinity;
      announce(t.answered(sending.response ?? ""));
    } else if (sending.calls.length > steps && !isUndo(sending.calls)) {
      steps = sending.calls.length;
      announce(asText(describe(sending.calls[steps - 1])[0]));
    }
  };
}

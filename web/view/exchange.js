/**
 * One exchange of the chat: the person's message, the steps and changes, the reply, and what can be done with it.
 *
 * @import { Row } from "../dom.js"
 * @import { ToolCall } from "../api/types.js"
 * @import { Chat, Entry } from "../state/chat.js"
 * @import { Sending } from "../state/outbox.js"
 */

import { fill, h, iconButton } from "../dom.js";
import { changesOf, isUndo } from "../state/exchanges.js";
import { fullText } from "../text/dates.js";
import { t } from "../text/index.js";
import { markdown } from "../text/markdown.js";
import { problemText } from "../text/problems.js";
import { asText, card, describe } from "./changes.js";
import { confirmed } from "./dialogs.js";
import { notify, orTell } from "./notices.js";

/**
 * @param {Entry} first
 * @param {Chat} chat
 * @returns {Row<Entry>}
 */
export function exchangeRow(first, chat) {
  const element = h("article", { class: "exchange" });
  const update = (/** @type {Entry} */ entry) => {
    const focused = document.activeElement?.getAttribute("data-action");
    const hadFocus = element.contains(document.activeElement);
    fill(element, question(entry, chat), changes(entry, chat), reply(entry, chat));
    if (hadFocus && focused) /** @type {HTMLElement | null} */ (element.querySelector(`[data-action=${focused}]`))?.focus();
  };
  update(first);
  return { element, update };
}

/** @param {Entry} entry */
function question({ exchange, sending }, /** @type {Chat} */ chat) {
  const text = exchange ? exchange.question?.content : sending?.body.message;
  if (text === undefined) return null;
  const isLast = exchange !== null && chat.last === exchange;
  return h(
    "div",
    { class: "question" },
    h("h3", { class: "hidden" }, t.you),
    h("p", { title: exchange?.question ? fullText(exchange.question.created_at) : null }, text),
    isLast && exchange?.turnId && h("div", { class: "actions" }, action("edit", t.edit, () => chat.edit(exchange))),
  );
}

/** @param {Entry} entry */
function changes({ exchange, sending }, /** @type {Chat} */ chat) {
  const calls = exchange && !sending ? exchange.calls : (sending?.calls ?? []);
  const changed = calls.filter((call) => call.error === undefined && (changesOf(call).length > 0 || isUndo([call])));
  const isRunning = sending !== null && ["working", "stopping"].includes(sending.state);
  const shown = isRunning ? calls : changed;
  if (!shown.length) return null;
  const cards = shown.flatMap(describe);
  const count = changed.flatMap(changesOf).length;
  const canUndo = exchange !== null && exchange.turnId !== null && !sending && count > 0 && !exchange.isUndone;
  const undo = () => canUndo && orTell(async () => (await chat.undo(exchange), notify(t.undoneMessage)));
  const button = (/** @type {string} */ label) =>
    h("button", { type: "button", class: "text-button", "data-action": "undo", on: { click: undo } }, label);
  return h(
    "section",
    { class: exchange?.isUndone ? "changes undone" : "changes", "aria-label": t.changes },
    h("ul", {}, ...cards.map((described) => card(described, canUndo && count === 1 && button(t.undo)))),
    canUndo && count > 1 && h("div", { class: "row end" }, button(t.undoAll(count))),
    exchange?.isUndone && h("small", { class: "quiet" }, t.undone),
  );
}

/** @param {Entry} entry */
function reply({ exchange, sending }, /** @type {Chat} */ chat) {
  const text = exchange?.answer?.content || sending?.response || "";
  const isOver = !sending || ["finished", "stopped", "failed"].includes(sending.state);
  const parts = [
    text && h("div", { class: "text" }, markdown(text)),
    sending && !isOver && progress(sending),
    isOver && !text && trouble({ exchange, sending, key: "" }, chat),
    isOver && text && exchange?.answer && replyActions(exchange.answer, text, chat, chat.last === exchange),
  ];
  if (!parts.some(Boolean)) return null;
  return h("div", { class: "reply", "data-busy": !isOver }, h("h3", { class: "hidden" }, t.assistant), ...parts);
}

/** @param {Sending} sending */
function progress(sending) {
  return h("div", { class: "progress" }, h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i")), h("span", {}, progressText(sending)));
}

/** @param {Sending} sending */
function progressText({ state, problem, calls }) {
  if (state === "stopping") return t.stopping;
  if (problem?.code === "conversation-busy" || problem?.code === "turn-in-progress") return t.otherMessage;
  if (problem?.status === 429) return t.slowDown;
  if (problem) return state === "working" ? t.stillThere : t.reconnecting;
  if (state === "sending") return t.sendingMessage;
  const last = /** @type {ToolCall | undefined} */ (calls.at(-1));
  return last ? `${asText(describe(last)[0])} …` : t.working;
}

/**
 * Say why there is no reply, and offer what can be done.
 *
 * @param {Entry} entry
 * @param {Chat} chat
 */
function trouble({ exchange, sending }, chat) {
  if (exchange && !exchange.question) return null;
  const unanswered = chat.unanswered?.id === exchange?.turnId ? chat.unanswered : null;
  const isStopped = sending?.state === "stopped" || unanswered?.status === "cancelled";
  const reason = sending?.problem ? problemText(sending.problem) : isStopped ? t.stopped : sending ? t.failed : unanswered ? t.failed : t.noAnswer;
  const message = exchange?.question?.content ?? sending?.body.message ?? "";
  const isLast = sending !== null || chat.last === exchange;
  const again = () => chat.send(message);
  const button = h("button", { type: "button", class: "button small", "data-action": "again", on: { click: again } }, t.tryAgain);
  return h("div", { class: isStopped ? "trouble quiet" : "trouble" }, h("p", {}, reason), isLast && button);
}

/**
 * @param {import("../api/types.js").Message} answer
 * @param {string} text
 * @param {Chat} chat
 * @param {boolean} isLast
 */
function replyActions(answer, text, chat, isLast) {
  const rating = answer.feedback?.rating ?? null;
  const rate = (/** @type {"up" | "down"} */ wanted, /** @type {string} */ label) =>
    action(wanted, label, () => orTell(() => chat.rate(answer, rating === wanted ? null : wanted)), { "aria-pressed": String(rating === wanted) });
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    notify(t.copied);
  };
  return h(
    "div",
    { class: "actions" },
    rate("up", t.goodAnswer),
    rate("down", t.badAnswer),
    action("copy", t.copy, copy),
    isLast && action("redo", t.askAgain, () => askAgain(chat)),
  );
}

/** @param {Chat} chat */
async function askAgain(chat) {
  const exchange = chat.last;
  if (!exchange?.question) return;
  const count = exchange.isUndone ? 0 : exchange.calls.flatMap(changesOf).length;
  if (count && !(await confirmed(t.askAgain, t.askAgainUndoes(count), t.askAgain))) return;
  chat.edit(exchange);
  chat.send(exchange.question.content);
}

/**
 * @param {import("../dom.js").IconName} name
 * @param {string} label
 * @param {() => unknown} run
 * @param {Record<string, string>} [properties]
 */
function action(name, label, run, properties = {}) {
  return iconButton(name, label, run, { class: "icon-button small", "data-action": name, ...properties });
}

/**
 * The frame of the page: conversations, chat and tasks side by side on a wide screen, one at a time on a narrow one.
 *
 * @import { Chat } from "../state/chat.js"
 * @import { ConversationList } from "../state/conversations.js"
 */

import { fill, h, icon, iconButton } from "../dom.js";
import { linkTo } from "../router.js";
import { t } from "../text/index.js";
import { actionsFor } from "./conversations.js";
import { showMenu } from "./menu.js";

/** @typedef {"history" | "chat" | "tasks"} Pane */

/**
 * @param {{ history: HTMLElement, messages: HTMLElement, composer: HTMLElement, tasks: HTMLElement, usage: HTMLElement }} views
 * @param {Chat} chat
 * @param {ConversationList} conversations
 * @param {() => void} openAccount
 */
export function frame(views, chat, conversations, openAccount) {
  const root = h(
    "main",
    { class: "frame", "data-pane": "chat" },
    h("h1", { class: "hidden" }, "Taskchat"),
    h("a", { class: "skip", href: "#message", on: { click: focusMessage } }, t.skip),
    h(
      "nav",
      { class: "pane history-pane", id: "history", "aria-label": t.conversations },
      h("header", {}, h("strong", { class: "brand", "aria-hidden": "true" }, "Taskchat"), iconButton("person", t.account, openAccount)),
      h("a", { class: "button new-chat", href: linkTo(null) }, icon("add"), t.newChat),
      views.history,
      views.usage,
    ),
    h("section", { class: "pane chat-pane", id: "chat", "aria-label": t.chat }, chatHeader(chat, conversations), views.messages, views.composer),
    h("section", { class: "pane tasks-pane", id: "tasks", "aria-label": t.tasks }, h("header", {}, h("h2", {}, t.tasks)), views.tasks),
  );
  root.append(tabs(root));
  return { element: root, showPane: (/** @type {Pane} */ pane) => showPane(root, pane) };
}

/** @param {Event} event */
function focusMessage(event) {
  event.preventDefault();
  document.getElementById("message")?.focus();
}

/**
 * @param {Chat} chat
 * @param {ConversationList} conversations
 */
function chatHeader(chat, conversations) {
  const header = h("header", {});
  /** @type {unknown} */
  let shown;
  const show = () => {
    const { conversation } = chat;
    document.title = conversation?.title ? `${conversation.title} – Taskchat` : "Taskchat";
    if (shown === conversation) return;
    shown = conversation;
    const menu = (/** @type {MouseEvent} */ event) => conversation && showMenu(/** @type {HTMLElement} */ (event.currentTarget), actionsFor(conversation, conversations, chat));
    const title = conversation ? conversation.title || t.untitled : t.newChat;
    fill(header, h("h2", {}, title), conversation && iconButton("more", t.actionsFor(title), menu, { "aria-haspopup": "menu" }));
  };
  chat.subscribe(show);
  show();
  return header;
}

/**
 * The bar at the bottom of a narrow screen.
 *
 * @param {HTMLElement} root
 */
function tabs(root) {
  const tab = (/** @type {Pane} */ pane, /** @type {import("../dom.js").IconName} */ name, /** @type {string} */ label) =>
    h("button", { type: "button", "data-tab": pane, "aria-pressed": String(pane === "chat"), on: { click: () => showPane(root, pane) } }, icon(name), label);
  return h("div", { class: "tabs", role: "group" }, tab("history", "history", t.conversations), tab("chat", "chat", t.chat), tab("tasks", "tasks", t.tasks));
}

/**
 * @param {HTMLElement} root
 * @param {Pane} pane
 */
function showPane(root, pane) {
  root.dataset.pane = pane;
  for (const tab of root.querySelectorAll("[data-tab]")) tab.setAttribute("aria-pressed", String(tab.getAttribute("data-tab") === pane));
}

/**
 * The list of conversations: search, open, rename, delete.
 *
 * @import { Conversation } from "../api/types.js"
 * @import { Row } from "../dom.js"
 * @import { Chat } from "../state/chat.js"
 * @import { ConversationList, Kind } from "../state/conversations.js"
 */

import { Rows, fill, h, iconButton } from "../dom.js";
import { goTo, linkTo } from "../router.js";
import { momentText } from "../text/dates.js";
import { t } from "../text/index.js";
import { problemText } from "../text/problems.js";
import { asked, confirmed } from "./dialogs.js";
import { showMenu } from "./menu.js";
import { whenNear } from "./near.js";
import { notify, orTell } from "./notices.js";

const TYPING_PAUSE_MS = 200;
const LONGEST_TITLE = 255;

/**
 * @param {ConversationList} conversations
 * @param {Chat} chat
 */
export function conversationsView(conversations, chat) {
  const list = h("ul", { class: "conversations" });
  const status = h("div", { class: "list-status" });
  const end = h("div", { class: "list-end" });
  const scroller = h("div", { class: "scroller" }, list, status, end);
  const rows = new Rows(list, (/** @type {Conversation} */ { id }) => id, (item) => conversationRow(item, conversations, chat));
  const show = () => {
    rows.show(conversations.items ?? []);
    fill(status, conversations.items?.length ? null : emptyText(conversations));
    end.hidden = conversations.isComplete;
  };
  conversations.subscribe(show);
  whenNear(end, scroller, () => conversations.more());
  show();

  let pause = 0;
  const typed = () => {
    clearTimeout(pause);
    pause = setTimeout(() => conversations.choose({ text: search.value.trim() }), TYPING_PAUSE_MS);
  };
  const search = h("input", { id: "search", type: "search", class: "input slim", placeholder: t.searchConversations, "aria-label": t.searchConversations, on: { input: typed } });
  const kinds = h("div", { class: "choices", role: "group", "aria-label": t.conversations }, kind(conversations, "chat", t.chats), kind(conversations, "client", t.otherChanges));
  return h("div", { class: "history" }, h("div", { class: "filters" }, search, kinds), scroller);
}

/**
 * @param {ConversationList} conversations
 * @param {Kind} value
 * @param {string} label
 */
function kind(conversations, value, label) {
  const button = h("button", { type: "button", on: { click: () => conversations.choose({ kind: value }) } }, label);
  const show = () => button.setAttribute("aria-pressed", String(conversations.kind === value));
  conversations.subscribe(show);
  show();
  return button;
}

/** @param {ConversationList} conversations */
function emptyText(conversations) {
  if (conversations.problem) {
    const again = h("button", { type: "button", class: "button small", on: { click: () => conversations.refresh() } }, t.tryAgain);
    return h("div", { class: "trouble" }, h("p", {}, problemText(conversations.problem)), again);
  }
  // A search goes through the conversations page by page, and a page may be empty.
  if (!conversations.isComplete) return h("p", { class: "quiet centered" }, t.loading);
  const [title, hint] = conversations.text
    ? [t.nothingFound, t.nothingFoundHint]
    : conversations.kind === "client"
      ? [t.otherChanges, t.otherChangesHint]
      : [t.noConversations, t.noConversationsHint];
  return h("div", { class: "empty" }, h("strong", {}, title), h("p", {}, hint));
}

/**
 * @param {Conversation} first
 * @param {ConversationList} conversations
 * @param {Chat} chat
 * @returns {Row<Conversation>}
 */
function conversationRow(first, conversations, chat) {
  let item = first;
  const element = h("li", { class: "conversation" });
  const mark = () => element.firstElementChild && (chat.id === item.id ? element.firstElementChild.setAttribute("aria-current", "page") : element.firstElementChild.removeAttribute("aria-current"));
  const show = () => {
    const title = item.title || t.untitled;
    const place = conversations.kind === "client" ? linkTo(item.id, "audit") : linkTo(item.id);
    const menu = (/** @type {MouseEvent} */ event) => showMenu(/** @type {HTMLElement} */ (event.currentTarget), actionsFor(item, conversations, chat));
    fill(
      element,
      h("a", { href: place }, h("span", { class: "conversation-title" }, title), h("small", { class: "quiet" }, item.snippet ?? momentText(item.updated_at))),
      iconButton("more", t.actionsFor(title), menu, { class: "icon-button small reveal", "aria-haspopup": "menu" }),
    );
    mark();
  };
  chat.subscribe(mark);
  show();
  return { element, update: (newer) => ((item = newer), show()) };
}

/**
 * @param {Conversation} item
 * @param {ConversationList} conversations
 * @param {Chat} chat
 */
export function actionsFor(item, conversations, chat) {
  const rename = async () => {
    const title = await asked(t.renameTitle, item.title ?? "", t.rename, LONGEST_TITLE);
    if (title) await orTell(async () => (await conversations.rename(item.id, title), chat.id === item.id && chat.reload()));
  };
  const remove = async () => {
    if (!(await confirmed(t.deleteConversation, t.deleteConversationText, t.delete))) return;
    await orTell(() => conversations.remove(item.id));
    if (chat.id === item.id) goTo(linkTo(null));
  };
  const copy = async () => {
    await navigator.clipboard.writeText(new URL(linkTo(item.id), location.href).href);
    notify(t.copied);
  };
  return [
    { icon: /** @type {const} */ ("edit"), label: t.rename, run: rename },
    { icon: /** @type {const} */ ("history"), label: t.everything, run: () => goTo(linkTo(item.id, "audit")) },
    { icon: /** @type {const} */ ("chat"), label: t.copyLink, run: copy },
    { icon: /** @type {const} */ ("trash"), label: t.delete, run: remove },
  ];
}

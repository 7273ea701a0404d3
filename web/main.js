/**
 * Start the page: sign in, put the parts together, show the place that the address names.
 */

import { Client } from "./api/client.js";
import { Routes } from "./api/routes.js";
import { h } from "./dom.js";
import { linkTo, place, renamePlace } from "./router.js";
import { signIn } from "./sign-in/session.js";
import { Chat } from "./state/chat.js";
import { ConversationList } from "./state/conversations.js";
import { Tabs } from "./state/tabs.js";
import { TaskList } from "./state/tasks.js";
import { chooseLanguage, t } from "./text/index.js";
import { applyTheme } from "./theme.js";
import { composer } from "./view/composer.js";
import { conversationsView } from "./view/conversations.js";
import { frame } from "./view/frame.js";
import { messagesView } from "./view/messages.js";
import { tasksView } from "./view/tasks.js";
import { usageView } from "./view/usage.js";

/** Another device may have changed something while the page was in the background for this long. */
const STALE_MS = 5000;

async function start() {
  applyTheme();
  await chooseLanguage();
  const session = await signIn();
  const routes = new Routes(new Client(session));
  const tabs = new Tabs(session.person);
  const tasks = new TaskList(routes, tabs);
  const conversations = new ConversationList(routes, tabs);
  const chat = new Chat(routes, { person: session.person, tabs, tasks, conversations });

  const box = composer(chat);
  const usage = usageView(routes);
  const openAccount = async () => (await import("./view/account.js")).showAccount({ routes, session, conversations });
  const { element, showPane } = frame(
    {
      history: conversationsView(conversations, chat),
      messages: messagesView(chat, box.suggest),
      composer: box.element,
      tasks: tasksView(tasks),
      usage: usage.element,
    },
    chat,
    conversations,
    openAccount,
  );
  document.getElementById("page")?.replaceChildren(element);

  chat.ended = usage.refresh;
  chat.opened = (id) => renamePlace(linkTo(id));
  const open = async () => {
    const { conversationId, isAudit } = place();
    showPane("chat");
    if (isAudit && conversationId !== null) {
      const { showAudit } = await import("./view/audit.js");
      await Promise.all([chat.open(conversationId), showAudit(routes, conversationId)]);
      if (place().isAudit) renamePlace(linkTo(conversationId));
      return;
    }
    await chat.open(conversationId);
    box.focus();
  };
  addEventListener("hashchange", open);
  addEventListener("keydown", (event) => shortcut(event, { search: () => showPane("history"), write: () => (showPane("chat"), box.focus()) }));

  chat.outbox.resume();
  await Promise.all([open(), tasks.refresh(), conversations.refresh(), usage.refresh()]);
  refreshAfterAbsence(() => [tasks.refresh(), conversations.refresh(), chat.reload(), usage.refresh()]);
}

/**
 * Read again what another device may have changed, when the person comes back or the network does.
 *
 * @param {() => unknown} refresh
 */
function refreshAfterAbsence(refresh) {
  let left = 0;
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) left = Date.now();
    else if (Date.now() - left > STALE_MS) refresh();
  });
  addEventListener("online", refresh);
}

/**
 * @param {KeyboardEvent} event
 * @param {{ search: () => void, write: () => void }} actions
 */
function shortcut(event, { search, write }) {
  if (!(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
  if (event.key === "k") {
    event.preventDefault();
    search();
    document.getElementById("search")?.focus();
  } else if (event.key === "j") {
    event.preventDefault();
    write();
  }
}

/** @param {unknown} error */
function failed(error) {
  const reload = h("button", { type: "button", class: "button primary", on: { click: () => location.assign(location.pathname) } }, t.reload);
  const reason = error instanceof Error && error.name === "SignInError" ? t.signInFailed : t.cannotStart;
  document.getElementById("page")?.replaceChildren(h("div", { class: "failed", role: "alert" }, h("p", {}, reason), reload));
  console.error(error);
}

start().catch(failed);

/**
 * The person's account and settings. Read when it is opened for the first time.
 *
 * @import { Routes } from "../api/routes.js"
 * @import { Session } from "../sign-in/session.js"
 * @import { ConversationList } from "../state/conversations.js"
 */

import { h } from "../dom.js";
import { linkTo, goTo } from "../router.js";
import { LANGUAGES, keepLanguage, language, t } from "../text/index.js";
import { keepTheme, theme } from "../theme.js";
import { asked, confirmed, showDialog } from "./dialogs.js";
import { orTell } from "./notices.js";

const LONGEST_NAME = 128;

/**
 * @param {{ routes: Routes, session: Session, conversations: ConversationList }} parts
 */
export async function showAccount({ routes, session, conversations }) {
  await showDialog(t.account, () => [
    h("section", { class: "stack" }, h("p", {}, t.signedInAs(session.name)), h("div", { class: "row" }, ...signInButtons(session))),
    h("section", { class: "stack" }, choice(t.languageLabel, LANGUAGES, language(), chooseLanguage), choice(t.themeLabel, t.themes, theme(), keepTheme)),
    h("section", { class: "stack" }, exportButton(routes), h("small", { class: "quiet" }, t.exportHint)),
    h("section", { class: "stack" }, h("h3", {}, t.shortcuts), shortcuts()),
    h(
      "section",
      { class: "stack" },
      h("button", { type: "button", class: "button", on: { click: () => removeConversations(conversations) } }, t.deleteConversations),
      h("button", { type: "button", class: "button danger", on: { click: () => removeAccount(routes, session) } }, t.deleteAccount),
    ),
  ]);
}

/** @param {Session} session */
function signInButtons(session) {
  const become = async () => {
    const name = await asked(t.anotherName, session.name, t.save, LONGEST_NAME);
    if (name) session.become?.(name);
  };
  const button = (/** @type {string} */ label, /** @type {() => unknown} */ click) => h("button", { type: "button", class: "button", on: { click } }, label);
  return session.become ? [button(t.anotherName, become)] : [button(t.signOut, () => session.signOut())];
}

/**
 * @param {string} label
 * @param {Readonly<Record<string, string>>} options
 * @param {string} chosen
 * @param {(value: string) => void} choose
 */
function choice(label, options, chosen, choose) {
  const items = Object.entries(options).map(([value, text]) => h("option", { value, selected: value === chosen }, text));
  const select = h("select", { class: "input", on: { change: () => choose(select.value) } }, ...items);
  return h("label", { class: "field beside" }, h("span", {}, label), select);
}

/** @param {string} chosen */
function chooseLanguage(chosen) {
  keepLanguage(chosen);
  location.reload();
}

function shortcuts() {
  const rows = Object.entries(t.shortcutList).map(([keys, text]) => [h("dt", {}, ...keys.split(" ").map((key) => h("kbd", {}, key))), h("dd", {}, text)]);
  return h("dl", { class: "shortcuts" }, ...rows.flat());
}

/** @param {Routes} routes */
function exportButton(routes) {
  const run = async () => {
    button.disabled = true;
    button.textContent = t.exporting;
    await orTell(async () => save(await everything(routes)));
    button.disabled = false;
    button.textContent = t.exportAll;
  };
  const button = h("button", { type: "button", class: "button", on: { click: run } }, t.exportAll);
  return button;
}

/** @param {Routes} routes */
async function everything(routes) {
  const pages = [];
  let cursor = null;
  do {
    const page = await routes.exportPage(cursor);
    pages.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor);
  return pages;
}

/** @param {any} contents */
function save(contents) {
  const url = URL.createObjectURL(new Blob([JSON.stringify(contents, null, 2)], { type: "application/json" }));
  h("a", { href: url, download: `taskchat-${new Date().toISOString().slice(0, 10)}.json` }).click();
  URL.revokeObjectURL(url);
}

/** @param {ConversationList} conversations */
async function removeConversations(conversations) {
  if (!(await confirmed(t.deleteConversations, t.deleteConversationsText, t.delete))) return;
  if (await orTell(() => conversations.removeAll())) goTo(linkTo(null));
}

/**
 * @param {Routes} routes
 * @param {Session} session
 */
async function removeAccount(routes, session) {
  if (!(await confirmed(t.deleteAccount, t.deleteAccountText, t.deleteAccount, { word: t.confirmWord }))) return;
  if (!(await orTell(() => routes.deleteAccount()))) return;
  localStorage.clear();
  sessionStorage.clear();
  await session.signOut();
}

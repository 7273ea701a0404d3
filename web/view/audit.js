/**
 * Everything that happened in a conversation, replaced turns included. Read when it is opened for the first time.
 *
 * @import { Routes } from "../api/routes.js"
 * @import { Message, ToolCall } from "../api/types.js"
 */

import { fill, h } from "../dom.js";
import { fullText } from "../text/dates.js";
import { t } from "../text/index.js";
import { asText, describe } from "./changes.js";
import { showDialog } from "./dialogs.js";
import { orTell } from "./notices.js";

/**
 * @param {Routes} routes
 * @param {number} conversationId
 */
export async function showAudit(routes, conversationId) {
  const list = h("ol", { class: "audit" }, h("li", { class: "quiet" }, t.loading));
  const more = h("button", { type: "button", class: "button", hidden: true, on: { click: () => read() } }, t.readAll);
  /** @type {Message[]} */
  let messages = [];
  /** @type {string | null} */
  let cursor = null;
  const read = () =>
    orTell(async () => {
      const page = await routes.messages(conversationId, { cursor, replaced: true });
      messages = [...page.items, ...messages];
      cursor = page.next_cursor;
      fill(list, messages.map(record));
      more.hidden = cursor === null;
    });
  read();
  await showDialog(t.audit, () => [h("p", { class: "quiet" }, t.auditHint), more, list], "wide");
}

/** @param {Message} message */
function record(message) {
  const who = message.role === "user" ? t.you : t.assistant;
  return h(
    "li",
    {},
    h("header", {}, h("strong", {}, who), " ", h("time", { class: "quiet", datetime: message.created_at }, fullText(message.created_at))),
    message.content && h("p", {}, message.content),
    ...(message.tool_calls ?? []).map(toolCall),
  );
}

/** @param {ToolCall} call */
function toolCall(call) {
  const part = (/** @type {string} */ label, /** @type {unknown} */ value) =>
    value !== undefined && value !== null && [h("dt", {}, label), h("dd", {}, h("pre", { tabindex: "0" }, JSON.stringify(value, null, 2)))];
  const parts = [
    part(t.auditArguments, call.arguments),
    part(t.auditResult, call.result),
    part(t.auditError, call.error),
    part(t.auditBefore, call.before),
    part(t.auditAfter, call.after),
    part(t.changes, call.changes),
  ];
  return h("details", {}, h("summary", {}, h("code", {}, call.tool), " ", describe(call).map(asText).join(", ")), h("dl", {}, ...parts.filter(Boolean).flatMap((some) => some || [])));
}

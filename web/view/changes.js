/**
 * Changes of tasks in words: a line while the turn runs, a card afterwards.
 *
 * @import { Change, Task, ToolCall } from "../api/types.js"
 */

import { h, icon } from "../dom.js";
import { changesOf, isUndo } from "../state/exchanges.js";
import { dueText } from "../text/dates.js";
import { t } from "../text/index.js";

/** @typedef {{ icon: import("../dom.js").IconName, verb: string, title: string, details: string[] }} Described */

/** @type {Readonly<Record<string, import("../dom.js").IconName>>} */
const ICON_OF = {
  create_task: "add",
  update_task: "edit",
  complete_task: "check",
  reopen_task: "redo",
  delete_task: "trash",
  undo_last_change: "undo",
};

/**
 * Describe each change of a call; a call that only read is described by its name alone.
 *
 * @param {ToolCall} call
 * @returns {Described[]}
 */
export function describe(call) {
  const steps = /** @type {Record<string, string>} */ (t.steps);
  if (call.error !== undefined) return [{ icon: "close", verb: steps.failed, title: "", details: [] }];
  const changes = changesOf(call);
  const name = steps[call.tool] ?? steps.other;
  if (isUndo([call])) return describeUndo(changes);
  if (changes.length) return changes.map((change) => describeChange(ICON_OF[call.tool] ?? "edit", name, change));
  // A record of an earlier release has the result only.
  const title = String(call.result?.title ?? "");
  return [{ icon: ICON_OF[call.tool] ?? "search", verb: name, title: call.tool in ICON_OF ? title : "", details: [] }];
}

/**
 * @param {Change[]} changes
 * @returns {Described[]}
 */
function describeUndo(changes) {
  if (!changes.length) return [{ icon: "undo", verb: t.nothingToTakeBack, title: "", details: [] }];
  return changes.map((change) => {
    const { before, after } = change;
    const verb = !after ? t.steps.delete_task : !before ? t.steps.restored : t.steps.update_task;
    return describeChange("undo", verb, change);
  });
}

/**
 * @param {import("../dom.js").IconName} name
 * @param {string} verb
 * @param {Change} change
 * @returns {Described}
 */
function describeChange(name, verb, { before, after }) {
  const task = /** @type {Task} */ (after ?? before);
  return { icon: name, verb, title: task.title, details: before && after ? differences(before, after) : facts(task) };
}

/**
 * @param {Task} task
 * @returns {string[]}
 */
function facts(task) {
  const priority = task.priority === "normal" ? null : t.priorities[task.priority];
  return [task.due_at ? dueText(task.due_at) : null, priority].filter((fact) => fact !== null);
}

/**
 * @param {Task} before
 * @param {Task} after
 * @returns {string[]}
 */
function differences(before, after) {
  const due = (/** @type {Task} */ task) => (task.due_at ? dueText(task.due_at) : t.noDate);
  return [
    before.title === after.title ? null : t.from(before.title, after.title),
    sameMoment(before.due_at, after.due_at) ? null : t.from(due(before), due(after)),
    before.priority === after.priority ? null : t.from(t.priorities[before.priority], t.priorities[after.priority]),
    (before.description ?? null) === (after.description ?? null) ? null : t.descriptionLabel,
  ].filter((difference) => difference !== null);
}

/**
 * @param {string | null} one
 * @param {string | null} other
 */
function sameMoment(one, other) {
  return one === other || (one !== null && other !== null && Date.parse(one) === Date.parse(other));
}

/**
 * Return a change as one line of text.
 *
 * @param {Described} described
 */
export function asText({ verb, title }) {
  return title ? `${verb} ${title}` : verb;
}

/**
 * Return a card for a change.
 *
 * @param {Described} described
 * @param {(HTMLElement | false | null)[]} actions
 */
export function card(described, ...actions) {
  const { verb, title, details } = described;
  return h(
    "li",
    { class: "change" },
    icon(described.icon),
    h("div", { class: "change-text" }, h("span", { class: "quiet" }, verb), " ", h("strong", {}, title), details.length > 0 && h("small", {}, details.join(" · "))),
    ...actions,
  );
}

/**
 * A task's fields, edited in place.
 *
 * @import { Task, TaskFields } from "../api/types.js"
 */

import { h } from "../dom.js";
import { dueOf, inputsOf } from "../text/dates.js";
import { t } from "../text/index.js";

const LONGEST_TITLE = 255;
const LONGEST_DESCRIPTION = 4000;

/**
 * @param {string} label
 * @param {HTMLElement} input
 */
function field(label, input) {
  return h("label", { class: "field" }, h("span", {}, label), input);
}

/** @param {Task["priority"]} chosen */
export function priorityChoice(chosen) {
  const options = Object.entries(t.priorities).map(([value, label]) => h("option", { value, selected: value === chosen }, label));
  return h("select", { class: "input" }, ...options.reverse());
}

/**
 * @param {Task} task
 * @param {{ save: (fields: TaskFields) => void, cancel: () => void, remove: () => void }} actions
 */
export function taskEditor(task, { save, cancel, remove }) {
  const due = inputsOf(task.due_at);
  const title = h("input", { class: "input", value: task.title, maxlength: LONGEST_TITLE, required: true, autocomplete: "off" });
  const description = h("textarea", { class: "input", rows: 3, maxlength: LONGEST_DESCRIPTION, value: task.description ?? "" });
  const date = h("input", { class: "input", type: "date", value: due.date });
  const time = h("input", { class: "input", type: "time", value: due.time });
  const priority = priorityChoice(task.priority);

  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    const wanted = {
      title: title.value.trim(),
      description: description.value.trim() || null,
      priority: /** @type {Task["priority"]} */ (priority.value),
      due_at: date.value === due.date && time.value === due.time ? task.due_at : dueOf(date.value, time.value),
    };
    if (!wanted.title) return title.focus();
    save(changed(task, wanted));
  };
  const keydown = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Escape") (event.stopPropagation(), cancel());
  };
  const form = h(
    "form",
    { class: "task-editor", on: { submit, keydown } },
    field(t.titleLabel, title),
    field(t.descriptionLabel, description),
    h("div", { class: "row fields" }, field(t.dueDate, date), field(t.dueTime, time), field(t.priorityLabel, priority)),
    h(
      "div",
      { class: "row end" },
      h("button", { type: "button", class: "button quiet-danger", on: { click: remove } }, t.delete),
      h("span", { class: "spring" }),
      h("button", { type: "button", class: "button", on: { click: cancel } }, t.cancel),
      h("button", { class: "button primary" }, t.save),
    ),
  );
  return { element: form, focus: () => title.focus() };
}

/**
 * Return the fields that differ.
 *
 * @param {Task} task
 * @param {TaskFields} wanted
 * @returns {TaskFields}
 */
function changed(task, wanted) {
  const before = /** @type {Record<string, any>} */ (task);
  return Object.fromEntries(Object.entries(wanted).filter(([name, value]) => value !== (before[name] ?? null)));
}

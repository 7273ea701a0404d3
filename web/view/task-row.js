/**
 * A task of the list: tick it, open it, delete it.
 *
 * @import { Row } from "../dom.js"
 * @import { Task, TaskFields } from "../api/types.js"
 * @import { TaskList } from "../state/tasks.js"
 */

import { Problem } from "../api/problem.js";
import { fill, h, icon, iconButton } from "../dom.js";
import { dueText } from "../text/dates.js";
import { t } from "../text/index.js";
import { problemText } from "../text/problems.js";
import { notify, orTell } from "./notices.js";
import { taskEditor } from "./task-editor.js";

const CHANGED_MEANWHILE = 412;

/**
 * @param {Task} first
 * @param {TaskList} tasks
 * @returns {Row<Task>}
 */
export function taskRow(first, tasks) {
  let task = first;
  let isEditing = false;
  const element = h("li", { class: "task" });

  const show = () => {
    if (isEditing) return;
    element.classList.toggle("done", task.completed);
    const tick = h("input", {
      type: "checkbox",
      class: "tick",
      checked: task.completed,
      "aria-label": (task.completed ? t.reopen : t.complete)(task.title),
      on: { change: () => complete(tasks, task, element) },
    });
    fill(
      element,
      tick,
      h("button", { type: "button", class: "task-text", on: { click: edit } }, h("span", { class: "hidden" }, t.edit, " "), h("span", { class: "task-title" }, task.title), facts(task)),
      iconButton("trash", t.deleteTask(task.title), () => remove(tasks, task, element), { class: "icon-button small reveal" }),
    );
  };

  const edit = async () => {
    /** @type {{ task: Task, tag: string | null } | undefined} */
    let read;
    // A list leaves descriptions out.
    if (!(await orTell(async () => (read = await tasks.routes.task(task.id)))) || !read) return;
    const { tag, task: whole } = read;
    const close = () => {
      isEditing = false;
      element.classList.remove("editing");
      show();
      /** @type {HTMLElement | null} */ (element.querySelector(".task-text"))?.focus();
    };
    const save = (/** @type {TaskFields} */ fields) => {
      close();
      if (Object.keys(fields).length) saveTask(tasks, whole, fields, tag);
    };
    const editor = taskEditor(whole, { save, cancel: close, remove: () => (close(), remove(tasks, task, element)) });
    isEditing = true;
    element.classList.add("editing");
    fill(element, editor.element);
    editor.focus();
  };

  show();
  return { element, update: (newer) => ((task = newer), show()) };
}

/** @param {Task} task */
function facts(task) {
  const isLate = !task.completed && task.due_at !== null && new Date(task.due_at) < new Date();
  const isMarked = task.priority === "high" || task.priority === "urgent";
  if (!task.due_at && !isMarked) return null;
  return h(
    "span",
    { class: "facts" },
    task.due_at && h("span", { class: isLate ? "late" : "" }, dueText(task.due_at)),
    isMarked && h("span", { class: `priority ${task.priority}` }, icon("flag"), t.priorities[task.priority]),
  );
}

/**
 * Complete or reopen a task. The focus goes on to its neighbour, because the row leaves the list.
 *
 * @param {TaskList} tasks
 * @param {Task} task
 * @param {HTMLElement} row
 */
async function complete(tasks, task, row) {
  const next = neighbour(row, ".tick");
  const isDone = !task.completed;
  const change = orTell(() => tasks.change(task, { completed: isDone }));
  queueMicrotask(() => next?.focus());
  if (!(await change)) return;
  const undo = { label: t.undo, run: () => orTell(() => tasks.change({ ...task, completed: isDone }, { completed: !isDone })) };
  notify((isDone ? t.taskCompleted : t.taskReopened)(task.title), undo);
}

/**
 * @param {TaskList} tasks
 * @param {Task} task
 * @param {HTMLElement} row
 */
async function remove(tasks, task, row) {
  const next = neighbour(row, ".task-text");
  const removal = orTell(() => tasks.remove(task));
  queueMicrotask(() => next?.focus());
  if (await removal) notify(t.taskDeleted(task.title), { label: t.undo, run: () => orTell(() => tasks.undoLast(task)) });
}

/**
 * @param {TaskList} tasks
 * @param {Task} task
 * @param {TaskFields} fields
 * @param {string | null} tag
 */
async function saveTask(tasks, task, fields, tag) {
  const before = /** @type {Record<string, any>} */ (task);
  const back = Object.fromEntries(Object.keys(fields).map((name) => [name, before[name] ?? null]));
  try {
    await tasks.change(task, fields, tag);
    notify(t.taskSaved(fields.title ?? task.title), { label: t.undo, run: () => orTell(() => tasks.change({ ...task, ...fields }, back)) });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    // Somebody else changed it: show how it is now, and let the person decide.
    if (error.status === CHANGED_MEANWHILE) tasks.refresh();
    notify(problemText(error), null, "bad");
  }
}

/**
 * @param {HTMLElement} row
 * @param {string} part
 * @returns {HTMLElement | null}
 */
function neighbour(row, part) {
  const rows = [...(row.closest(".task-groups")?.querySelectorAll(".task") ?? [])];
  const at = rows.indexOf(row);
  const other = rows[at + 1] ?? rows[at - 1];
  return other ? other.querySelector(part) : document.querySelector("#add-task");
}

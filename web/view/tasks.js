/**
 * The tasks beside the chat, in groups by due date.
 *
 * @import { Task } from "../api/types.js"
 * @import { Row } from "../dom.js"
 * @import { TaskList } from "../state/tasks.js"
 */

import { Rows, fill, h, icon } from "../dom.js";
import { dueOf, groupOf } from "../text/dates.js";
import { t } from "../text/index.js";
import { problemText } from "../text/problems.js";
import { whenNear } from "./near.js";
import { notify, orTell } from "./notices.js";
import { priorityChoice } from "./task-editor.js";
import { taskRow } from "./task-row.js";

const TYPING_PAUSE_MS = 200;
/** After this time, a task may have become overdue, or today may have ended. */
const REGROUP_MS = 60_000;
const LONGEST_TITLE = 255;

/** @typedef {{ name: import("../text/dates.js").Group, tasks: Task[] }} TaskGroup */

/** @param {TaskList} tasks */
export function tasksView(tasks) {
  const groups = h("div", { class: "task-groups" });
  const status = h("div", { class: "list-status" });
  const end = h("div", { class: "list-end" });
  const scroller = h("div", { class: "scroller" }, groups, status, end);
  const rows = new Rows(groups, (/** @type {TaskGroup} */ { name }) => name, (group) => groupRow(group, tasks));

  const show = () => {
    rows.show(grouped(tasks.items ?? []));
    fill(status, tasks.items?.length ? null : emptyText(tasks));
    end.hidden = tasks.isComplete;
  };
  tasks.subscribe(show);
  setInterval(show, REGROUP_MS);
  whenNear(end, scroller, () => tasks.more());
  show();
  return h("div", { class: "tasks" }, adder(tasks), filters(tasks), scroller);
}

/**
 * @param {Task[]} items
 * @returns {TaskGroup[]}
 */
function grouped(items) {
  const now = new Date();
  /** @type {Map<TaskGroup["name"], Task[]>} */
  const groups = new Map();
  for (const task of items) {
    const name = groupOf(task, now);
    const members = groups.get(name);
    if (members) members.push(task);
    else groups.set(name, [task]);
  }
  return [...groups].map(([name, members]) => ({ name, tasks: members }));
}

/**
 * @param {TaskGroup} first
 * @param {TaskList} tasks
 * @returns {Row<TaskGroup>}
 */
function groupRow(first, tasks) {
  const list = h("ul", {});
  const rows = new Rows(list, (/** @type {Task} */ { id }) => id, (task) => taskRow(task, tasks));
  const element = h("section", { class: `group ${first.name}` }, h("h3", {}, t.groups[first.name]), list);
  const update = (/** @type {TaskGroup} */ group) => rows.show(group.tasks);
  update(first);
  return { element, update };
}

/** @param {TaskList} tasks */
function emptyText(tasks) {
  if (tasks.problem) {
    const again = h("button", { type: "button", class: "button small", on: { click: () => tasks.refresh() } }, t.tryAgain);
    return h("div", { class: "trouble" }, h("p", {}, problemText(tasks.problem)), again);
  }
  if (tasks.items === null) return h("p", { class: "quiet centered" }, t.loading);
  const { status, priority, text } = tasks.filter;
  const [title, hint] =
    priority || text ? [t.nothingFound, t.nothingFoundHint] : status === "pending" ? [t.noTasks, t.noTasksHint] : [t.noDone, t.noDoneHint];
  return h("div", { class: "empty" }, h("strong", {}, title), h("p", {}, hint));
}

/** @param {TaskList} tasks */
function adder(tasks) {
  const title = h("input", { id: "add-task", placeholder: t.addTaskHint, "aria-label": t.addTask, maxlength: LONGEST_TITLE, autocomplete: "off", enterkeyhint: "done" });
  const date = h("input", { type: "date", class: "input", "aria-label": t.dueDate });
  const time = h("input", { type: "time", class: "input", "aria-label": t.dueTime });
  const priority = priorityChoice("normal");
  priority.setAttribute("aria-label", t.priorityLabel);
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const fields = {
      title: title.value.trim(),
      due_at: dueOf(date.value, time.value),
      priority: /** @type {Task["priority"]} */ (priority.value),
    };
    if (!fields.title) return title.focus();
    title.value = date.value = time.value = "";
    priority.value = "normal";
    title.focus();
    const isAdded = await orTell(async () => {
      const task = await tasks.add(fields);
      notify(t.taskAdded(task.title), { label: t.undo, run: () => orTell(() => tasks.remove(task)) });
    });
    if (!isAdded && !title.value) title.value = fields.title;
  };
  return h(
    "form",
    { class: "adder", on: { submit } },
    h("div", { class: "adder-title" }, icon("add"), title),
    h("div", { class: "adder-details" }, h("div", { class: "row" }, date, time, priority, h("button", { class: "button primary small" }, t.save))),
  );
}

/** @param {TaskList} tasks */
function filters(tasks) {
  const choice = (/** @type {"pending" | "completed"} */ status, /** @type {string} */ label) => {
    const button = h("button", { type: "button", on: { click: () => tasks.choose({ status }) } }, label);
    const show = () => button.setAttribute("aria-pressed", String(tasks.filter.status === status));
    tasks.subscribe(show);
    show();
    return button;
  };
  const priority = h(
    "select",
    { class: "input slim", "aria-label": t.priorityLabel, on: { change: () => tasks.choose({ priority: priority.value }) } },
    h("option", { value: "" }, t.anyPriority),
    ...Object.entries(t.priorities).reverse().map(([value, label]) => h("option", { value }, label)),
  );
  let pause = 0;
  const typed = () => {
    clearTimeout(pause);
    pause = setTimeout(() => tasks.choose({ text: text.value.trim() }), TYPING_PAUSE_MS);
  };
  const text = h("input", { type: "search", class: "input slim", placeholder: t.searchTasks, "aria-label": t.searchTasks, on: { input: typed } });
  return h(
    "div",
    { class: "filters" },
    h("div", { class: "choices", role: "group", "aria-label": t.tasks }, choice("pending", t.open), choice("completed", t.done)),
    text,
    priority,
  );
}

/**
 * The tasks beside the chat.
 *
 * @import { Routes } from "../api/routes.js"
 * @import { Task, TaskFields, ToolCall } from "../api/types.js"
 * @import { Tabs } from "./tabs.js"
 */

import { Problem } from "../api/problem.js";
import { Store } from "./store.js";

/** @typedef {"pending" | "completed"} TaskStatus */
/** @typedef {{ status: TaskStatus, priority: string, text: string }} Filter */

/** A list that was read further than this is read again only as far as this. */
const PAGES_OF_A_REFRESH = 3;
const NOT_FOUND = 404;
/** Other programs have records of their own, so the newest need not be that of this page. */
const RECORDS_TO_SEARCH = 4;

export class TaskList extends Store {
  /** @type {Filter} */
  filter = { status: "pending", priority: "", text: "" };
  /** @type {Task[] | null} in order; null before the first page is here */
  items = null;
  /** @type {Problem | null} */
  problem = null;
  /** @type {string | null} cursor of the page after `items` */
  #cursor = null;
  #isReadingMore = false;
  /** Counts reads of the whole list, so that the answer of an older one is dropped. */
  #generation = 0;
  #pages = 1;

  /**
   * @param {Routes} routes
   * @param {Tabs} tabs
   */
  constructor(routes, tabs) {
    super();
    this.routes = routes;
    this.tabs = tabs;
    tabs.hear("tasks", () => this.refresh());
  }

  get isComplete() {
    return this.items !== null && this.#cursor === null;
  }

  /** @param {Partial<Filter>} change */
  async choose(change) {
    this.filter = { ...this.filter, ...change };
    this.#pages = 1;
    await this.refresh();
  }

  /** Read the list again, as far as it was read. */
  async refresh() {
    const generation = ++this.#generation;
    const pages = Math.min(this.#pages, PAGES_OF_A_REFRESH);
    /** @type {Task[]} */
    const found = [];
    let cursor = null;
    try {
      for (let count = 0; count < pages; count += 1) {
        const page = await this.routes.tasks({ ...this.filter, cursor });
        found.push(...page.items);
        cursor = page.next_cursor;
        if (!cursor) break;
      }
      this.problem = null;
    } catch (error) {
      this.problem = asProblem(error);
    }
    if (generation !== this.#generation) return;
    if (!this.problem) {
      this.items = found;
      this.#cursor = cursor;
      this.#pages = pages;
    }
    this.changed();
  }

  /** Read the next page. */
  async more() {
    if (!this.items || !this.#cursor || this.#isReadingMore) return;
    const generation = this.#generation;
    this.#isReadingMore = true;
    try {
      const page = await this.routes.tasks({ ...this.filter, cursor: this.#cursor });
      if (generation !== this.#generation) return;
      const known = new Set(this.items.map((task) => task.id));
      this.items = [...this.items, ...page.items.filter((task) => !known.has(task.id))];
      this.#cursor = page.next_cursor;
      this.#pages += 1;
      this.changed();
    } catch (error) {
      this.problem = asProblem(error);
      this.changed();
    } finally {
      this.#isReadingMore = false;
    }
  }

  /**
   * Show tasks as the agent has just left them; null for one that was deleted.
   *
   * @param {Map<number, Task | null>} changes
   */
  apply(changes) {
    if (!this.items || !changes.size) return;
    // A page that was asked for before this moment may be older than the change.
    this.#generation += 1;
    this.#put(changes);
  }

  /** @param {TaskFields} fields */
  async add(fields) {
    const task = await this.routes.createTask(fields);
    this.#put(new Map([[task.id, task]]));
    this.tabs.tell("tasks");
    return task;
  }

  /**
   * Change a task, on the screen first.
   *
   * @param {Task} task
   * @param {TaskFields} fields
   * @param {string | null} [tag]
   */
  async change(task, fields, tag) {
    this.#put(new Map([[task.id, { ...task, ...fields }]]));
    try {
      const changed = await this.routes.changeTask(task.id, fields, tag);
      this.#put(new Map([[task.id, { ...task, ...fields, ...changed }]]));
      this.tabs.tell("tasks");
    } catch (error) {
      this.#put(new Map([[task.id, isNotFound(error) ? null : task]]));
      throw error;
    }
  }

  /**
   * Delete a task, on the screen first.
   *
   * @param {Task} task
   */
  async remove(task) {
    this.#put(new Map([[task.id, null]]));
    try {
      await this.routes.deleteTask(task.id);
      this.tabs.tell("tasks");
    } catch (error) {
      if (isNotFound(error)) return;
      this.#put(new Map([[task.id, task]]));
      throw error;
    }
  }

  /**
   * Bring a deleted task back, by undoing the newest recorded deletion of it.
   *
   * @param {Task} task
   */
  async undoLast(task) {
    const turnId = await deletionOf(this.routes, task.id);
    if (!turnId) throw new Problem(NOT_FOUND, { code: "nothing-to-undo" });
    await this.routes.undoTurn(turnId);
    this.#put(new Map([[task.id, task]]));
    this.tabs.tell("tasks");
  }

  /** @param {Map<number, Task | null>} changes */
  #put(changes) {
    if (!this.items) return;
    const others = this.items.filter((task) => !changes.has(task.id));
    const last = this.items.at(-1);
    const added = [...changes.values()].filter((task) => task !== null).filter((task) => this.#fits(task, last));
    this.items = [...others, ...added].sort(bySoonestDue);
    this.changed();
  }

  /**
   * Tell whether a task belongs to the part of the list that was read.
   *
   * @param {Task} task
   * @param {Task | undefined} last
   */
  #fits(task, last) {
    const { status, priority, text } = this.filter;
    const words = `${task.title}\n${task.description ?? ""}`.toLowerCase();
    const isWanted =
      task.completed === (status === "completed") && (!priority || task.priority === priority) && words.includes(text.toLowerCase());
    if (!isWanted || this.isComplete || !last) return isWanted;
    return bySoonestDue(task, last) < 0;
  }
}

/**
 * Find the turn that deleted a task by hand, among the newest records of such changes.
 *
 * @param {Routes} routes
 * @param {number} taskId
 * @returns {Promise<string | null>}
 */
async function deletionOf(routes, taskId) {
  const { items } = await routes.conversations({ kind: "client" });
  for (const { id } of items.slice(0, RECORDS_TO_SEARCH)) {
    const page = await routes.messages(id);
    const isDeletion = (/** @type {ToolCall} */ call) => call.tool === "delete_task" && call.before?.id === taskId;
    const message = page.items.findLast(({ tool_calls: calls }) => calls?.some(isDeletion));
    if (message?.turn_id) return message.turn_id;
  }
  return null;
}

/**
 * Compare in the order of GET /tasks.
 *
 * @param {Task} one
 * @param {Task} other
 */
function bySoonestDue(one, other) {
  return dueMoment(one) - dueMoment(other) || one.id - other.id;
}

/** @param {Task} task */
function dueMoment(task) {
  return task.due_at ? Date.parse(task.due_at) : Number.MAX_SAFE_INTEGER;
}

/** @param {unknown} error */
function isNotFound(error) {
  return error instanceof Problem && error.status === NOT_FOUND;
}

/**
 * @param {unknown} error
 * @returns {Problem}
 */
function asProblem(error) {
  if (error instanceof Problem) return error;
  throw error;
}

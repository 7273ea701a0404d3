/**
 * The routes of the API that the page uses, one method each.
 *
 * @import { Client } from "./client.js"
 * @import { Problem } from "./problem.js"
 * @import { ChatBody, Conversation, Message, Page, Rating, Task, TaskFields, Turn } from "./types.js"
 */

const TASKS_OF_A_PAGE = 100;
const CONVERSATIONS_OF_A_PAGE = 40;
const MESSAGES_OF_A_PAGE = 50;
/** A change of a task is tried for about half a minute; then the person is told. */
const TRIES_OF_A_CHANGE = 6;

/**
 * Return a path with those parameters that have a value.
 *
 * @param {string} path
 * @param {Record<string, string | number | boolean | null | undefined>} parameters
 */
function withQuery(path, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return `${path}?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
}

export class Routes {
  /** @param {Client} client */
  constructor(client) {
    this.client = client;
  }

  /**
   * Send a message. The answer is a turn (202), or the reply if the API has no worker (200).
   *
   * @param {ChatBody} body
   * @param {{ key: string, waiting: (problem: Problem) => void, signal: AbortSignal }} options
   */
  async chat(body, options) {
    return this.client.write("POST", "/chat", { ...options, body, headers: { Prefer: "respond-async" } });
  }

  /**
   * Return a turn, or null if it is as `tag` names it.
   *
   * @param {string} id
   * @param {{ tag?: string | null, signal?: AbortSignal }} [options]
   * @returns {Promise<{ turn: Turn | null, tag: string | null }>}
   */
  async turn(id, { tag, signal } = {}) {
    const { status, body, headers } = await this.client.send("GET", `/turns/${id}`, {
      signal,
      headers: tag ? { "If-None-Match": tag } : {},
    });
    return { turn: status === 304 ? null : body, tag: headers.get("etag") };
  }

  /** @param {string} id */
  async cancelTurn(id) {
    await this.client.write("DELETE", `/turns/${id}`, { tries: TRIES_OF_A_CHANGE });
  }

  /**
   * Take back what a turn did.
   *
   * @param {string} id
   */
  async undoTurn(id) {
    return (await this.client.write("POST", `/turns/${id}/undo`, { tries: TRIES_OF_A_CHANGE })).body;
  }

  /**
   * @param {{ text?: string, kind?: "chat" | "client", cursor?: string | null }} query
   * @returns {Promise<Page<Conversation>>}
   */
  async conversations(query) {
    return (await this.client.read(withQuery("/conversations", { limit: CONVERSATIONS_OF_A_PAGE, ...query }))).body;
  }

  /**
   * @param {number} id
   * @returns {Promise<Conversation>}
   */
  async conversation(id) {
    return (await this.client.read(`/conversations/${id}`)).body;
  }

  /**
   * @param {number} id
   * @param {string} title
   * @returns {Promise<Conversation>}
   */
  async rename(id, title) {
    const options = { body: { title }, tries: TRIES_OF_A_CHANGE };
    return (await this.client.write("PATCH", `/conversations/${id}`, options)).body;
  }

  /** @param {number} id */
  async deleteConversation(id) {
    await this.client.write("DELETE", `/conversations/${id}`, { tries: TRIES_OF_A_CHANGE });
  }

  async deleteConversations() {
    await this.client.write("DELETE", "/conversations", { tries: TRIES_OF_A_CHANGE });
  }

  /**
   * @param {number} id
   * @param {{ cursor?: string | null, replaced?: boolean }} [query] with `replaced`, replaced turns are shown, too
   * @returns {Promise<Page<Message>>}
   */
  async messages(id, query = {}) {
    const path = withQuery(`/conversations/${id}/messages`, { limit: MESSAGES_OF_A_PAGE, ...query });
    return (await this.client.read(path)).body;
  }

  /**
   * @param {number} messageId
   * @param {Rating | null} rating
   */
  async rate(messageId, rating) {
    const path = `/messages/${messageId}/feedback`;
    const options = { tries: TRIES_OF_A_CHANGE };
    if (rating) await this.client.write("PUT", path, { ...options, body: { rating } });
    else await this.client.write("DELETE", path, options);
  }

  /**
   * @param {{ status?: string, priority?: string, text?: string, cursor?: string | null }} query
   * @returns {Promise<Page<Task>>}
   */
  async tasks(query) {
    return (await this.client.read(withQuery("/tasks", { limit: TASKS_OF_A_PAGE, ...query }))).body;
  }

  /**
   * Return a task with its description, and its `ETag`.
   *
   * @param {number} id
   * @returns {Promise<{ task: Task, tag: string | null }>}
   */
  async task(id) {
    const { body, headers } = await this.client.read(`/tasks/${id}`);
    return { task: body, tag: headers.get("etag") };
  }

  /**
   * @param {TaskFields} fields
   * @returns {Promise<Task>}
   */
  async createTask(fields) {
    return (await this.client.write("POST", "/tasks", { body: fields, tries: TRIES_OF_A_CHANGE })).body;
  }

  /**
   * @param {number} id
   * @param {TaskFields} fields
   * @param {string | null} [tag] refuse the change if the task is no longer as this `ETag` names it
   * @returns {Promise<Task>}
   */
  async changeTask(id, fields, tag) {
    /** @type {Record<string, string>} */
    const headers = tag ? { "If-Match": tag } : {};
    const options = { body: fields, headers, tries: TRIES_OF_A_CHANGE };
    return (await this.client.write("PATCH", `/tasks/${id}`, options)).body;
  }

  /** @param {number} id */
  async deleteTask(id) {
    await this.client.write("DELETE", `/tasks/${id}`, { tries: TRIES_OF_A_CHANGE });
  }

  async usage() {
    return (await this.client.read("/usage")).body;
  }

  /** @param {string | null} cursor */
  async exportPage(cursor) {
    return (await this.client.read(withQuery("/export", { cursor }))).body;
  }

  async deleteAccount() {
    const headers = { Confirm: "delete everything" };
    await this.client.write("DELETE", "/account", { headers, tries: TRIES_OF_A_CHANGE });
  }
}

/**
 * The list of conversations.
 *
 * @import { Routes } from "../api/routes.js"
 * @import { Conversation } from "../api/types.js"
 * @import { Tabs } from "./tabs.js"
 */

import { Problem } from "../api/problem.js";
import { Store } from "./store.js";

/** @typedef {"chat" | "client"} Kind conversations with the assistant, or changes made by other programs and by hand */

export class ConversationList extends Store {
  /** @type {Conversation[] | null} newest activity first; null before the first page is here */
  items = null;
  /** @type {Kind} */
  kind = "chat";
  text = "";
  /** @type {Problem | null} */
  problem = null;
  /** @type {string | null} */
  #cursor = null;
  #generation = 0;
  #isReadingMore = false;

  /**
   * @param {Routes} routes
   * @param {Tabs} tabs
   */
  constructor(routes, tabs) {
    super();
    this.routes = routes;
    this.tabs = tabs;
    tabs.hear("conversations", () => this.refresh());
  }

  get isComplete() {
    return this.items !== null && this.#cursor === null;
  }

  /** @param {{ text?: string, kind?: Kind }} query */
  async choose({ text = this.text, kind = this.kind }) {
    this.text = text;
    this.kind = kind;
    await this.refresh();
  }

  /** Read the first page again; pages behind it are read again when they are needed. */
  async refresh() {
    const generation = ++this.#generation;
    try {
      const page = await this.routes.conversations({ kind: this.kind, text: this.text });
      if (generation !== this.#generation) return;
      this.items = page.items;
      this.#cursor = page.next_cursor;
      this.problem = null;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.problem = error;
    }
    this.changed();
  }

  /** Read the next page. */
  async more() {
    if (!this.items || !this.#cursor || this.#isReadingMore) return;
    const generation = this.#generation;
    this.#isReadingMore = true;
    try {
      const page = await this.routes.conversations({ kind: this.kind, text: this.text, cursor: this.#cursor });
      if (generation !== this.#generation) return;
      this.items = [...this.items, ...page.items];
      this.#cursor = page.next_cursor;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.problem = error;
    } finally {
      this.#isReadingMore = false;
    }
    this.changed();
  }

  /**
   * @param {number} id
   * @param {string} title
   */
  async rename(id, title) {
    const renamed = await this.routes.rename(id, title);
    this.items = this.items?.map((item) => (item.id === id ? { ...item, title: renamed.title } : item)) ?? null;
    this.changed();
    this.tabs.tell("conversations");
  }

  /** @param {number} id */
  async remove(id) {
    await this.routes.deleteConversation(id);
    this.items = this.items?.filter((item) => item.id !== id) ?? null;
    this.changed();
    this.tabs.tell("conversations");
  }

  async removeAll() {
    await this.routes.deleteConversations();
    await this.refresh();
    this.tabs.tell("conversations");
  }
}

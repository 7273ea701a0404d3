/**
 * The open conversation: its exchanges, and the message on its way.
 *
 * @import { Routes } from "../api/routes.js"
 * @import { Conversation, Message, Rating, Turn } from "../api/types.js"
 * @import { ConversationList } from "./conversations.js"
 * @import { Exchange } from "./exchanges.js"
 * @import { Sending } from "./outbox.js"
 * @import { Tabs } from "./tabs.js"
 * @import { TaskList } from "./tasks.js"
 */

import { Problem } from "../api/problem.js";
import { exchangesOf, tasksAfter } from "./exchanges.js";
import { Outbox } from "./outbox.js";
import { Store } from "./store.js";

const ENDED = new Set(["finished", "stopped", "failed"]);

/**
 * One exchange on the screen: as it was recorded, as it is under way, or both.
 *
 * @typedef {{ key: string, exchange: Exchange | null, sending: Sending | null }} Entry
 */

export class Chat extends Store {
  /** @type {number | null} null for a conversation without a message yet */
  id = null;
  /** @type {Conversation | null} */
  conversation = null;
  /** @type {Exchange[] | null} null until they are here */
  exchanges = null;
  /** @type {Problem | null} */
  problem = null;
  /** @type {Exchange | null} the exchange that the next message replaces */
  editing = null;
  /** @type {(id: number) => void} is called when the first message has made a conversation */
  opened = () => {};
  /** @type {() => void} is called when a turn has ended */
  ended = () => {};
  /** @type {Turn | null} the last turn, if it has no answer */
  unanswered = null;
  /** @type {Message[]} */
  #messages = [];
  /** @type {string | null} key of the message that makes this conversation */
  #firstKey = null;
  /** @type {Map<string, string>} the key on the screen by turn, so that an element stays when its turn has ended */
  #keys = new Map();
  /** @type {string | null} cursor of older messages */
  #older = null;
  #generation = 0;

  /**
   * @param {Routes} routes
   * @param {{ person: string, tabs: Tabs, tasks: TaskList, conversations: ConversationList }} others
   */
  constructor(routes, { person, tabs, tasks, conversations }) {
    super();
    this.routes = routes;
    this.tabs = tabs;
    this.tasks = tasks;
    this.conversations = conversations;
    this.outbox = new Outbox(routes, person, (sending) => this.#told(sending));
    this.outbox.subscribe(() => this.changed());
    tabs.hear("messages", (id) => {
      if (id === this.id) this.reload();
    });
  }

  /** @returns {Sending | null} */
  get sending() {
    return this.outbox.of(this.id);
  }

  get isBusy() {
    const { sending } = this;
    return sending !== null && !ENDED.has(sending.state);
  }

  /** @returns {Entry[]} */
  get entries() {
    const { sending } = this;
    const hidden = sending && sending.state !== "failed" ? sending.body.replaces_turn_id : null;
    /** @type {Entry[]} */
    const entries = (this.exchanges ?? [])
      .filter(({ turnId }) => !hidden || turnId !== hidden)
      .map((exchange) => {
        const own = sending && sending.turnId === exchange.turnId ? sending : null;
        return { key: this.#keys.get(exchange.key) ?? exchange.key, exchange, sending: own };
      });
    if (sending && !entries.some((entry) => entry.sending)) entries.push({ key: sending.key, exchange: null, sending });
    return entries;
  }

  /** Return the exchange that can be edited or asked again: the newest, if nothing is under way. */
  get last() {
    return this.isBusy ? null : (this.exchanges?.findLast((exchange) => exchange.question) ?? null);
  }

  get hasOlder() {
    return this.#older !== null;
  }

  /**
   * Open a conversation; null begins a new one.
   *
   * @param {number | null} id
   */
  async open(id) {
    if (id === this.id && (this.exchanges || id !== null)) return;
    this.#generation += 1;
    this.id = id;
    this.conversation = null;
    this.problem = null;
    this.editing = null;
    this.unanswered = null;
    this.#firstKey = id === null ? (this.outbox.of(null)?.key ?? null) : null;
    this.#messages = [];
    this.#older = null;
    this.exchanges = id === null ? [] : null;
    this.changed();
    if (id !== null) await this.reload();
  }

  /** Read the newest messages again. */
  async reload() {
    const generation = this.#generation;
    const { id } = this;
    if (id === null) return;
    try {
      const [page, conversation] = await Promise.all([this.routes.messages(id), this.routes.conversation(id)]);
      if (generation !== this.#generation) return;
      const first = page.next_cursor ? page.items[0].id : 0;
      const older = this.#messages.filter((message) => message.id < first);
      if (!older.length) this.#older = page.next_cursor;
      this.conversation = conversation;
      this.#show([...older, ...page.items]);
      this.problem = null;
      const ended = this.sending;
      // A message that failed stays, with its reason, until the person has read it.
      if (ended && ENDED.has(ended.state) && this.exchanges?.some(({ turnId }) => turnId === ended.turnId)) {
        if (ended.state !== "failed") this.outbox.drop(ended);
      }
      await this.#findRunning();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (generation !== this.#generation) return;
      this.problem = error;
    }
    this.changed();
  }

  /** Read the page of older messages. */
  async older() {
    if (!this.#older || this.id === null) return;
    const generation = this.#generation;
    const page = await this.routes.messages(this.id, { cursor: this.#older });
    if (generation !== this.#generation) return;
    this.#older = page.next_cursor;
    this.#show([...page.items, ...this.#messages]);
    this.changed();
  }

  /**
   * Send a message. It takes the place of the exchange that is being edited, if there is one.
   *
   * @param {string} message
   */
  send(message) {
    const failed = this.sending;
    if (failed) this.outbox.drop(failed);
    const key = this.outbox.send({
      message,
      timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
      ...(this.id === null ? {} : { conversation_id: this.id }),
      ...(this.editing?.turnId ? { replaces_turn_id: this.editing.turnId } : {}),
    });
    if (this.id === null) this.#firstKey = key;
    this.editing = null;
    this.changed();
  }

  /** @param {Exchange | null} exchange */
  edit(exchange) {
    this.editing = exchange;
    this.changed();
  }

  /**
   * Take back what an exchange did.
   *
   * @param {Exchange} exchange
   */
  async undo(exchange) {
    const { tool_calls: calls } = await this.routes.undoTurn(String(exchange.turnId));
    this.tasks.apply(tasksAfter(calls));
    this.#tellOthers();
    await this.reload();
  }

  /**
   * @param {Message} message
   * @param {Rating | null} rating
   */
  async rate(message, rating) {
    const before = message.feedback ?? null;
    this.#replace({ ...message, feedback: rating && { rating, comment: null } });
    try {
      await this.routes.rate(message.id, rating);
    } catch (error) {
      this.#replace({ ...message, feedback: before });
      throw error;
    }
  }

  /** @param {Message} changed */
  #replace(changed) {
    this.#show(this.#messages.map((message) => (message.id === changed.id ? changed : message)));
    this.changed();
  }

  /** @param {Message[]} messages */
  #show(messages) {
    this.#messages = messages;
    this.exchanges = exchangesOf(messages);
  }

  /** Watch the last turn if it has no answer yet: another tab or device may have begun it. */
  async #findRunning() {
    const last = this.exchanges?.at(-1);
    if (!last?.question || last.answer || !last.turnId || this.sending) {
      this.unanswered = null;
      return;
    }
    this.unanswered = (await this.routes.turn(last.turnId)).turn;
    if (this.unanswered) this.outbox.watch(this.unanswered, last.question.content);
  }

  /** @param {Sending} sending */
  #told(sending) {
    this.tasks.apply(tasksAfter(sending.calls));
    if (sending.turnId) this.#keys.set(sending.turnId, sending.key);
    if (this.id === null && sending.key === this.#firstKey && sending.conversationId !== null) {
      // The first message has made this conversation. The screen stays as it is.
      this.id = sending.conversationId;
      this.#generation += 1;
      this.opened(sending.conversationId);
    }
    if (ENDED.has(sending.state)) {
      if (tasksAfter(sending.calls).size) this.tasks.refresh();
      this.#tellOthers();
      this.ended();
      this.conversations.refresh();
      if (sending.conversationId === this.id) this.reload();
    } else if (sending.calls.length === 0) {
      // The changes of a replaced exchange are taken back as soon as the API has the message.
      if (sending.body.replaces_turn_id) this.tasks.refresh();
      this.conversations.refresh();
      this.tabs.tell("conversations");
      this.tabs.tell("messages", sending.conversationId);
    } else {
      this.tabs.tell("tasks");
    }
  }

  #tellOthers() {
    this.tabs.tell("tasks");
    this.tabs.tell("conversations");
    this.tabs.tell("messages", this.id);
  }
}

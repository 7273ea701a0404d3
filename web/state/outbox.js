/**
 * Messages on their way: sent with one key until the API has taken them, then watched until the turn is over.
 *
 * They are kept in the browser's storage, so a reload in mid-turn finds them again. Another tab, or another device, finds
 * a running turn by the last message of the conversation (`watch`).
 *
 * @import { Routes } from "../api/routes.js"
 * @import { ChatBody, ToolCall, Turn } from "../api/types.js"
 */

import { Problem } from "../api/problem.js";
import { sleep, untilOnline } from "../api/waiting.js";
import { Store } from "./store.js";

/**
 * @typedef {"sending" | "waiting" | "working" | "stopping" | "finished" | "stopped" | "failed"} State
 *   waiting: the network, the API or the conversation's other message is in the way, and it is tried again
 *
 * @typedef {object} Sending
 * @property {string} key
 * @property {ChatBody} body
 * @property {number | null} conversationId null until the API has made a conversation for the first message
 * @property {string | null} turnId null until the API has taken the message
 * @property {State} state
 * @property {ToolCall[]} calls
 * @property {string | null} response
 * @property {Problem | null} problem why it waits, or why it failed
 * @property {string | null} error why the turn failed, as the API says
 * @property {string} at when it was sent
 * @property {boolean} isOwn false for a turn that is only watched
 */

const UNDER_WAY = new Set(["queued", "running", "interrupted"]);
const ENDED = new Set(["finished", "stopped", "failed"]);
/** Time between two looks at a turn: short for a quick answer, longer for one that takes its time. */
const FIRST_LOOKS = 8;
const FIRST_LOOK_MS = 250;
const LOOK_MS = 700;
const HIDDEN_LOOK_MS = 2500;
/** An interrupted turn is continued by the worker. If it is still interrupted after this time, it is sent again. */
const INTERRUPTED_MS = 8000;
const UNSENT_DAYS = 1;
const DAY_MS = 86_400_000;

export class Outbox extends Store {
  /** @type {Map<string, Sending>} by key */
  #sendings = new Map();
  /** @type {Map<string, AbortController>} */
  #stops = new Map();

  /**
   * @param {Routes} routes
   * @param {string} person
   * @param {(sending: Sending) => void} told is called after each step, and at the end
   */
  constructor(routes, person, told) {
    super();
    this.routes = routes;
    this.place = `taskchat outbox ${person}`;
    this.told = told;
  }

  /** Go on with what was under way when the page was closed. */
  resume() {
    for (const sending of readKept(this.place)) {
      if (Date.now() - Date.parse(sending.at) > UNSENT_DAYS * DAY_MS) continue;
      this.#sendings.set(sending.key, { ...sending, state: sending.turnId ? "working" : "sending", problem: null });
      this.#run(sending.key);
    }
    this.#keep();
  }

  /**
   * Return the message on its way in a conversation; null stands for a new one.
   *
   * @param {number | null} conversationId
   * @returns {Sending | null}
   */
  of(conversationId) {
    return [...this.#sendings.values()].findLast((sending) => sending.conversationId === conversationId) ?? null;
  }

  /**
   * Send a message, and return its key.
   *
   * @param {ChatBody} body
   */
  send(body) {
    const key = crypto.randomUUID();
    this.#sendings.set(key, {
      key,
      body,
      conversationId: body.conversation_id ?? null,
      turnId: null,
      state: "sending",
      calls: [],
      response: null,
      problem: null,
      error: null,
      at: new Date().toISOString(),
      isOwn: true,
    });
    this.#keep();
    this.#run(key);
    return key;
  }

  /**
   * Watch a turn that another tab or device has begun.
   *
   * @param {Turn} turn
   * @param {string} message
   */
  watch(turn, message) {
    const isKnown = [...this.#sendings.values()].some((sending) => sending.turnId === turn.id);
    if (isKnown || !UNDER_WAY.has(turn.status)) return;
    this.#sendings.set(turn.id, {
      key: turn.id,
      body: { message, timezone: "UTC" },
      conversationId: turn.conversation_id,
      turnId: turn.id,
      state: "working",
      calls: turn.tool_calls,
      response: null,
      problem: null,
      error: null,
      at: new Date().toISOString(),
      isOwn: false,
    });
    this.#run(turn.id);
  }

  /**
   * Stop a turn. One that the API has not taken yet is stopped as soon as it is known.
   *
   * @param {Sending} sending
   */
  async stop(sending) {
    if (ENDED.has(sending.state)) return;
    this.#set(sending.key, { state: "stopping" });
    if (!sending.turnId) return;
    try {
      await this.routes.cancelTurn(sending.turnId);
    } catch (error) {
      // It was over before the word to stop arrived.
      if (!(error instanceof Problem)) throw error;
    }
  }

  /**
   * Forget a message that has ended.
   *
   * @param {Sending} sending
   */
  drop(sending) {
    this.#stops.get(sending.key)?.abort();
    this.#sendings.delete(sending.key);
    this.#keep();
    this.changed();
  }

  /** @param {string} key */
  async #run(key) {
    const stop = new AbortController();
    this.#stops.set(key, stop);
    this.changed();
    try {
      if (!this.#sendings.get(key)?.turnId) await this.#submit(key, stop.signal);
      await this.#follow(key, stop.signal);
    } catch (error) {
      if (stop.signal.aborted) return;
      if (!(error instanceof Problem)) throw error;
      const state = error.code === "turn-cancelled" ? "stopped" : "failed";
      this.#set(key, { state, problem: error });
      this.#tell(key);
    }
  }

  /**
   * Send the message until the API has taken it.
   *
   * @param {string} key
   * @param {AbortSignal} signal
   */
  async #submit(key, signal) {
    const { body } = this.#get(key);
    const waiting = (/** @type {Problem} */ problem) => {
      if (this.#get(key).state !== "stopping") this.#set(key, { state: "waiting", problem });
    };
    const answer = await this.routes.chat(body, { key, waiting, signal });
    const isTurn = answer.status === 202;
    const turnId = isTurn ? answer.body.id : answer.body.turn_id;
    const isStopping = this.#get(key).state === "stopping";
    this.#set(key, {
      turnId,
      conversationId: answer.body.conversation_id,
      calls: answer.body.tool_calls,
      problem: null,
      state: isStopping ? "stopping" : "working",
    });
    this.#keep();
    this.#tell(key);
    if (isStopping) await this.stop(this.#get(key));
  }

  /**
   * Look at the turn until it is over.
   *
   * @param {string} key
   * @param {AbortSignal} signal
   */
  async #follow(key, signal) {
    let tag = null;
    let interruptedSince = 0;
    for (let looks = 0; ; looks += 1) {
      let turn;
      try {
        ({ turn, tag } = await this.routes.turn(String(this.#get(key).turnId), { tag, signal }));
      } catch (error) {
        if (!(error instanceof Problem) || !error.isPassing) throw error;
        this.#set(key, { problem: error });
        await untilOnline(signal);
      }
      if (turn) this.#show(key, turn);
      if (turn && !UNDER_WAY.has(turn.status)) return;
      if (turn) interruptedSince = turn.status === "interrupted" ? interruptedSince || Date.now() : 0;
      if (interruptedSince && Date.now() - interruptedSince > INTERRUPTED_MS && this.#get(key).isOwn) {
        interruptedSince = 0;
        await this.#submit(key, signal);
      }
      const usual = looks < FIRST_LOOKS ? FIRST_LOOK_MS : LOOK_MS;
      await sleep(document.hidden ? HIDDEN_LOOK_MS : usual, signal);
    }
  }

  /**
   * @param {string} key
   * @param {Turn} turn
   */
  #show(key, turn) {
    const { state, calls } = this.#get(key);
    const isUnderWay = UNDER_WAY.has(turn.status);
    const ended = turn.status === "finished" ? "finished" : turn.status === "cancelled" ? "stopped" : "failed";
    this.#set(key, {
      calls: turn.tool_calls,
      response: turn.response,
      error: turn.error,
      problem: null,
      state: isUnderWay ? (state === "stopping" ? state : "working") : ended,
    });
    if (!isUnderWay) this.#keep();
    if (!isUnderWay || turn.tool_calls.length !== calls.length) this.#tell(key);
  }

  /** @param {string} key */
  #tell(key) {
    const sending = this.#sendings.get(key);
    if (sending) this.told(sending);
  }

  /** @param {string} key */
  #get(key) {
    return /** @type {Sending} */ (this.#sendings.get(key));
  }

  /**
   * @param {string} key
   * @param {Partial<Sending>} change
   */
  #set(key, change) {
    const sending = this.#sendings.get(key);
    if (!sending) return;
    this.#sendings.set(key, { ...sending, ...change });
    this.changed();
  }

  /** Keep in the browser what a reload has to find again. */
  #keep() {
    const own = [...this.#sendings.values()].filter(({ isOwn, state }) => isOwn && !ENDED.has(state));
    // A problem is an Error, which JSON cannot hold.
    localStorage.setItem(this.place, JSON.stringify(own.map((sending) => ({ ...sending, problem: null }))));
  }
}

/**
 * @param {string} place
 * @returns {Sending[]}
 */
function readKept(place) {
  return JSON.parse(localStorage.getItem(place) ?? "[]");
}

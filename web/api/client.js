/**
 * Requests to the API under this page's own host.
 *
 * @import { Session } from "../sign-in/session.js"
 */

import { Problem } from "./problem.js";
import { sleep, untilOnline } from "./waiting.js";

const TIMEOUT_MS = 40_000;
const UNAUTHENTICATED = 401;
const SHORTEST_WAIT_SECONDS = 0.5;
const LONGEST_WAIT_SECONDS = 15;
/** A person waits for a list no longer than this many tries; a message is sent until it arrives. */
const TRIES_OF_A_READ = 4;

/**
 * @typedef {object} Options
 * @property {any} [body] sent as JSON
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal]
 *
 * @typedef {{ status: number, headers: Headers, body: any }} Answer
 */

export class Client {
  /** @param {Session} session */
  constructor(session) {
    this.session = session;
  }

  /**
   * Send one request, once more with a new token after a 401.
   *
   * @param {string} method
   * @param {string} path
   * @param {Options} [options]
   * @returns {Promise<Answer>}
   * @throws {Problem}
   */
  async send(method, path, options = {}) {
    try {
      return await this.#once(method, path, options);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== UNAUTHENTICATED) throw error;
      await this.session.renew();
      return this.#once(method, path, options);
    }
  }

  /**
   * Read, with a few tries.
   *
   * @param {string} path
   * @param {Options} [options]
   */
  async read(path, options = {}) {
    return this.#repeat(() => this.send("GET", path, options), { tries: TRIES_OF_A_READ, signal: options.signal });
  }

  /**
   * Write, with the same `Idempotency-Key` until the API has taken it or refused it for good.
   *
   * @param {string} method
   * @param {string} path
   * @param {Options & { key?: string, tries?: number, waiting?: (problem: Problem) => void }} [options]
   *   `waiting` is told of each problem that passes
   */
  async write(method, path, { key = crypto.randomUUID(), tries = Infinity, waiting, ...options } = {}) {
    const headers = { ...options.headers, "Idempotency-Key": key };
    const { signal } = options;
    return this.#repeat(() => this.send(method, path, { ...options, headers }), { tries, waiting, signal });
  }

  /**
   * @param {() => Promise<Answer>} attempt
   * @param {{ tries: number, waiting?: (problem: Problem) => void, signal?: AbortSignal }} options
   */
  async #repeat(attempt, { tries, waiting, signal }) {
    for (let count = 1; ; count += 1) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof Problem) || !error.isPassing || count >= tries) throw error;
        waiting?.(error);
        const backOff = SHORTEST_WAIT_SECONDS * 2 ** Math.min(count - 1, 5);
        await untilOnline(signal);
        await sleep(Math.min(error.retryAfterSeconds || backOff, LONGEST_WAIT_SECONDS) * 1000, signal);
      }
    }
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {Options} options
   * @returns {Promise<Answer>}
   */
  async #once(method, path, { body, headers, signal }) {
    const token = await this.session.token();
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    let response;
    let text;
    try {
      response = await fetch(path, {
        method,
        headers: {
          ...(body === undefined ? {} : { "Content-Type": "application/json" }),
          ...headers,
          Authorization: `Bearer ${token}`,
        },
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
        // The API decides by itself, with ETag and 304; a stored answer would be one of another moment.
        cache: "no-store",
      });
      text = await response.text();
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Problem(0, {});
    }
    const parsed = parse(text);
    if (response.ok || response.status === 304) return { status: response.status, headers: response.headers, body: parsed };
    throw new Problem(response.status, parsed ?? {}, response.headers);
  }
}

/** @param {string} text */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * Messages grouped into exchanges: a person's message, what was done for it, and the reply. An exchange is a turn.
 *
 * @import { Change, Message, Task, ToolCall } from "../api/types.js"
 */

const UNDO = "undo_last_change";

/**
 * @typedef {object} Exchange
 * @property {string} key
 * @property {string | null} turnId
 * @property {Message | null} question null for an undo
 * @property {ToolCall[]} calls
 * @property {Message | null} answer the last message of the assistant, null while there is none
 * @property {boolean} isUndone whether its changes are taken back
 */

/**
 * @param {Message[]} messages the oldest first
 * @returns {Exchange[]}
 */
export function exchangesOf(messages) {
  /** @type {Exchange[]} */
  const exchanges = [];
  /** @type {Map<string, Exchange>} */
  const byTurn = new Map();
  for (const message of messages) {
    let exchange = message.turn_id ? byTurn.get(message.turn_id) : message.role === "assistant" ? exchanges.at(-1) : null;
    if (!exchange) {
      const key = message.turn_id ?? `message ${message.id}`;
      exchange = { key, turnId: message.turn_id ?? null, question: null, calls: [], answer: null, isUndone: false };
      exchanges.push(exchange);
      if (message.turn_id) byTurn.set(message.turn_id, exchange);
    }
    if (message.role === "user") exchange.question = message;
    exchange.calls.push(...(message.tool_calls ?? []));
    // Steps before the last are messages of the assistant, too, mostly without words.
    if (message.role === "assistant" && (message.content || !exchange.question)) exchange.answer = message;
  }
  for (const exchange of exchanges) markUndone(exchange, byTurn, true);
  return exchanges;
}

/**
 * Mark what an exchange took back. To take back an undo is to put its changes into effect again.
 *
 * @param {Exchange} exchange
 * @param {Map<string, Exchange>} byTurn
 * @param {boolean} isUndone
 */
function markUndone(exchange, byTurn, isUndone) {
  for (const turnId of turnsUndoneBy(exchange.calls)) {
    const target = byTurn.get(turnId);
    if (!target || target === exchange) continue;
    target.isUndone = isUndone;
    markUndone(target, byTurn, !isUndone);
  }
}

/**
 * @param {ToolCall[]} calls
 * @returns {Set<string>}
 */
function turnsUndoneBy(calls) {
  const named = calls.filter((call) => call.tool === UNDO && call.result?.turn_id);
  return new Set(named.map((call) => call.result?.turn_id));
}

/** @param {ToolCall[]} calls */
export function isUndo(calls) {
  return calls.some((call) => call.tool === UNDO);
}

/**
 * Return the changes of one call.
 *
 * @param {ToolCall} call
 * @returns {Change[]}
 */
export function changesOf(call) {
  if (call.error !== undefined) return [];
  if (call.changes) return call.changes;
  if (call.before || call.after) return [{ before: call.before ?? null, after: call.after ?? null }];
  return [];
}

/**
 * Return each changed task as it is now, null for a deleted one.
 *
 * @param {ToolCall[]} calls
 * @returns {Map<number, Task | null>}
 */
export function tasksAfter(calls) {
  /** @type {Map<number, Task | null>} */
  const tasks = new Map();
  for (const change of calls.flatMap(changesOf)) {
    const task = change.after ?? change.before;
    if (task) tasks.set(task.id, change.after ? { ...change.after, completed: isDone(change.after) } : null);
  }
  return tasks;
}

/**
 * Tell whether a task is done; a row of the audit trail may hold the time instead of the flag.
 *
 * @param {Task} task
 */
export function isDone(task) {
  return task.completed ?? Boolean(task.completed_at);
}

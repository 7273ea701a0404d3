/**
 * The shapes of the API, as docs/openapi.json describes them.
 *
 * @typedef {"low" | "normal" | "high" | "urgent"} Priority
 *
 * @typedef {object} Task
 * @property {number} id
 * @property {string} title
 * @property {string | null} [description] left out in lists
 * @property {Priority} priority
 * @property {string | null} due_at
 * @property {boolean} completed
 * @property {string | null} [completed_at]
 *
 * @typedef {object} TaskFields fields to set; null clears
 * @property {string} [title]
 * @property {string | null} [description]
 * @property {Priority} [priority]
 * @property {string | null} [due_at]
 * @property {boolean} [completed]
 *
 * @typedef {{ before: Task | null, after: Task | null }} Change
 *
 * @typedef {object} ToolCall an element of the audit trail
 * @property {string} id
 * @property {string} tool
 * @property {Record<string, any>} arguments
 * @property {Record<string, any>} [result]
 * @property {any} [error]
 * @property {Task | null} [before]
 * @property {Task | null} [after]
 * @property {Change[]} [changes]
 * @property {string} timestamp
 *
 * @typedef {"up" | "down"} Rating
 *
 * @typedef {object} Message
 * @property {number} id
 * @property {"user" | "assistant"} role
 * @property {string} content
 * @property {ToolCall[] | null} tool_calls
 * @property {string} created_at
 * @property {string | null} turn_id
 * @property {{ rating: Rating, comment: string | null } | null} [feedback]
 *
 * @typedef {object} Conversation
 * @property {number} id
 * @property {string | null} title
 * @property {string} created_at
 * @property {string} updated_at
 * @property {string | null} [snippet] only in the answer to a search
 *
 * @typedef {"queued" | "running" | "interrupted" | "finished" | "failed" | "cancelled" | "abandoned" | "replaced"} Status
 *
 * @typedef {object} Turn
 * @property {string} id
 * @property {number | null} conversation_id
 * @property {Status} status
 * @property {ToolCall[]} tool_calls
 * @property {string | null} response
 * @property {number | null} message_id
 * @property {string | null} error
 *
 * @typedef {object} ChatBody
 * @property {string} message
 * @property {number} [conversation_id]
 * @property {string} timezone
 * @property {string} [replaces_turn_id]
 */

/**
 * @template Item
 * @typedef {{ items: Item[], next_cursor: string | null }} Page
 */

export {};

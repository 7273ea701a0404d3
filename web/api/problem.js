/** Codes of problems that are not the API's own. */
export const UNREACHABLE = "unreachable";
export const GATEWAY = "gateway";
/** Limits per minute pass while a person waits; those per day do not. */
const LONGEST_LIMIT_SECONDS = 90;

/** A failed request: an RFC 9457 problem of the API, an error of the gateway, or no answer at all. */
export class Problem extends Error {
  /**
   * @param {number} status 0 without an answer
   * @param {Record<string, any>} body
   * @param {Headers} [headers]
   */
  constructor(status, body, headers) {
    super(body.detail ?? body.message ?? "");
    this.status = status;
    /** @type {string} */
    this.code = body.code ?? (status ? GATEWAY : UNREACHABLE);
    this.body = body;
    this.retryAfterSeconds = Number(headers?.get("retry-after") ?? body.retry_after_seconds ?? 0);
    this.turnId = headers?.get("location")?.split("/turns/")[1] ?? null;
  }

  /** Return whether the same request, with the same key, may succeed later. */
  get isPassing() {
    if (this.code === UNREACHABLE) return true;
    if (this.code === GATEWAY) return this.status === 429 || this.status >= 500;
    if (this.code === "usage-limit-reached") return this.retryAfterSeconds <= LONGEST_LIMIT_SECONDS;
    return this.body.retryable === true;
  }
}

/** Messages between the tabs of one person in one browser. */

/** @typedef {"tasks" | "conversations" | "messages" | "settings"} Topic */

export class Tabs {
  /** @param {string} person */
  constructor(person) {
    this.channel = new BroadcastChannel(`taskchat ${person}`);
  }

  /**
   * Tell the other tabs that something changed.
   *
   * @param {Topic} topic
   * @param {any} [detail]
   */
  tell(topic, detail = null) {
    this.channel.postMessage({ topic, detail });
  }

  /**
   * Call `listener` when another tab tells of a topic.
   *
   * @param {Topic} topic
   * @param {(detail: any) => void} listener
   */
  hear(topic, listener) {
    this.channel.addEventListener("message", ({ data }) => {
      if (data.topic === topic) listener(data.detail);
    });
  }
}

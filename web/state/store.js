/** A piece of state that views subscribe to. */
export class Store {
  /** @type {Set<() => void>} */
  #listeners = new Set();
  #isTelling = false;

  /**
   * Call `listener` after each change, several changes at once together. Return a function that ends it.
   *
   * @param {() => void} listener
   */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tell the listeners, once the running code has ended. */
  changed() {
    if (this.#isTelling) return;
    this.#isTelling = true;
    queueMicrotask(() => {
      this.#isTelling = false;
      for (const listener of [...this.#listeners]) listener();
    });
  }
}

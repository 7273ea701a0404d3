/**
 * Sign in on a laptop, where the gateway takes any name (`Authorization: Bearer local:NAME`).
 *
 * @import { Session } from "./session.js"
 */

const KEPT = "taskchat name";
const DEFAULT_NAME = "me";

/** @returns {Session} */
export function signInByName() {
  const name = localStorage.getItem(KEPT) ?? DEFAULT_NAME;
  /** @param {string} other */
  const become = (other) => {
    // The gateway takes printable ASCII without blanks.
    localStorage.setItem(KEPT, other.trim().replace(/[^!-~]/g, "-").slice(0, 128) || DEFAULT_NAME);
    location.replace(location.pathname);
  };
  return {
    person: `local:${name}`,
    name,
    token: async () => `local:${name}`,
    renew: async () => {},
    signOut: async () => become(DEFAULT_NAME),
    become,
  };
}

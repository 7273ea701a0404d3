/**
 * Who is signed in. `config.json` chooses how: by a name on a laptop, by OpenID Connect where it is deployed.
 *
 * @typedef {object} Session
 * @property {string} person an id of the person, by which this browser keeps unsent messages apart
 * @property {string} name shown in the account menu
 * @property {() => Promise<string>} token the token for the next request
 * @property {() => Promise<void>} renew replace a token that the API refused
 * @property {() => Promise<void>} signOut
 * @property {((name: string) => void) | null} become sign in by another name; null where a name is not enough
 *
 * @typedef {object} Config
 * @property {"name" | "openid"} sign_in
 * @property {string} [issuer]
 * @property {string} [client_id]
 * @property {string} [scope]
 * @property {string} [audience] sent with the request to sign in, for issuers that ask for it
 */

/**
 * Sign in. May leave the page for the issuer's; then the promise never ends.
 *
 * @returns {Promise<Session>}
 */
export async function signIn() {
  const response = await fetch("config.json", { cache: "no-cache" });
  if (!response.ok) throw new Error(`config.json: ${response.status}`);
  /** @type {Config} */
  const config = await response.json();
  if (config.sign_in === "openid") {
    const { signInByOpenId } = await import("./openid.js");
    return signInByOpenId(config);
  }
  const { signInByName } = await import("./name.js");
  return signInByName();
}

/**
 * Sign in by OpenID Connect: authorization code with PKCE, as a public client (RFC 7636, RFC 9700).
 *
 * Tokens stay in memory. They are renewed by the refresh token. After a reload, or without a refresh token, the browser
 * goes to the issuer and comes back at once, as long as the issuer's own session lasts.
 *
 * @import { Config, Session } from "./session.js"
 */

import { sleep } from "../api/waiting.js";

const UNDER_WAY = "taskchat sign-in";
const RENEW_BEFORE_MS = 60_000;
const DEFAULT_LIFETIME_SECONDS = 300;
const RANDOM_BYTES = 32;

/**
 * @typedef {{ access_token: string, refresh_token?: string, id_token?: string, expires_in?: number }} Tokens
 * @typedef {{ verifier: string, state: string, nonce: string, place: string }} Request what is kept while the browser is away
 * @typedef {object} Metadata OpenID Connect Discovery 1.0, section 3
 * @property {string} issuer
 * @property {string} authorization_endpoint
 * @property {string} token_endpoint
 * @property {string} [end_session_endpoint]
 * @property {string[]} [scopes_supported]
 */

/**
 * Raised when the issuer refuses to sign in; the text is the issuer's.
 */
export class SignInError extends Error {
  name = "SignInError";
}

/**
 * @param {Config} config
 * @returns {Promise<Session>}
 */
export async function signInByOpenId(config) {
  const issuer = String(config.issuer);
  const response = await fetch(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
  if (!response.ok) throw new SignInError(`${issuer}: ${response.status}`);
  const session = new OpenIdSession(config, await response.json());
  await session.begin();
  return session.asSession();
}

class OpenIdSession {
  /** @type {Tokens | null} */
  #tokens = null;
  #renewAt = 0;
  /** @type {Promise<void> | null} */
  #renewal = null;
  /** @type {Record<string, any>} */
  #claims = {};

  /**
   * @param {Config} config
   * @param {Metadata} metadata
   */
  constructor(config, metadata) {
    this.config = config;
    this.metadata = metadata;
    this.redirectUri = new URL("./", location.href.replace(/[?#].*$/, "")).href;
  }

  /** Take the code that the issuer sent back, or go and get one. */
  async begin() {
    const answer = new URLSearchParams(location.search);
    const kept = sessionStorage.getItem(UNDER_WAY);
    sessionStorage.removeItem(UNDER_WAY);
    if (!kept || !(answer.has("code") || answer.has("error"))) return this.#leave();
    /** @type {Request} */
    const request = JSON.parse(kept);
    history.replaceState(null, "", `${location.pathname}${request.place}`);
    if (answer.get("state") !== request.state) return this.#leave();
    // RFC 9207: an answer of another issuer is not one to this request.
    if (answer.has("iss") && answer.get("iss") !== this.metadata.issuer) throw new SignInError("iss");
    if (answer.has("error")) throw new SignInError(answer.get("error_description") ?? String(answer.get("error")));
    const tokens = await this.#ask({
      grant_type: "authorization_code",
      code: String(answer.get("code")),
      redirect_uri: this.redirectUri,
      code_verifier: request.verifier,
    });
    // The token came from the issuer over TLS, so its signature need not be checked (OpenID Connect Core, 3.1.3.7).
    this.#claims = claimsOf(tokens.id_token);
    if (this.#claims.nonce !== request.nonce) throw new SignInError("nonce");
  }

  /** @returns {Session} */
  asSession() {
    const { sub, name, email, preferred_username: username } = this.#claims;
    return {
      person: `${this.metadata.issuer} ${sub}`,
      name: name ?? email ?? username ?? sub,
      token: async () => {
        if (Date.now() > this.#renewAt) await this.#renewOnce();
        return String(this.#tokens?.access_token);
      },
      renew: () => this.#renewOnce(),
      signOut: () => this.#signOut(),
      become: null,
    };
  }

  /** Renew, once for all requests that ask for it meanwhile. */
  #renewOnce() {
    this.#renewal ??= this.#renew().finally(() => (this.#renewal = null));
    return this.#renewal;
  }

  async #renew() {
    const refreshToken = this.#tokens?.refresh_token;
    if (refreshToken) {
      try {
        await this.#ask({ grant_type: "refresh_token", refresh_token: refreshToken });
        return;
      } catch (error) {
        // The issuer refuses an old token. Without a network, the request that needs the token is repeated.
        if (!(error instanceof SignInError)) throw error;
      }
    }
    await this.#leave();
  }

  /** Go to the issuer's page. The place in this page is found again afterwards. */
  async #leave() {
    const request = { verifier: random(), state: random(), nonce: random(), place: location.hash };
    sessionStorage.setItem(UNDER_WAY, JSON.stringify(request));
    const url = new URL(this.metadata.authorization_endpoint);
    const parameters = {
      client_id: String(this.config.client_id),
      response_type: "code",
      redirect_uri: this.redirectUri,
      scope: this.#scope(),
      state: request.state,
      nonce: request.nonce,
      code_challenge: await challenge(request.verifier),
      code_challenge_method: "S256",
      ...(this.config.audience ? { audience: this.config.audience } : {}),
    };
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    location.assign(url);
    // The page goes away. Nothing after a sign-in may run before it does.
    await sleep(2 ** 30);
  }

  #scope() {
    const scopes = new Set(`openid ${this.config.scope ?? ""}`.trim().split(/\s+/));
    if (this.metadata.scopes_supported?.includes("offline_access")) scopes.add("offline_access");
    return [...scopes].join(" ");
  }

  /**
   * @param {Record<string, string>} parameters
   * @returns {Promise<Tokens>}
   */
  async #ask(parameters) {
    const response = await fetch(this.metadata.token_endpoint, {
      method: "POST",
      body: new URLSearchParams({ client_id: String(this.config.client_id), ...parameters }),
    });
    const body = await response.json();
    if (!response.ok) throw new SignInError(body.error_description ?? body.error ?? String(response.status));
    const lifetimeMs = (body.expires_in ?? DEFAULT_LIFETIME_SECONDS) * 1000;
    this.#tokens = { ...this.#tokens, ...body };
    this.#renewAt = Date.now() + Math.max(lifetimeMs - RENEW_BEFORE_MS, lifetimeMs / 2);
    return body;
  }

  async #signOut() {
    const idToken = this.#tokens?.id_token;
    const endpoint = this.metadata.end_session_endpoint;
    this.#tokens = null;
    if (!endpoint) return location.assign(this.redirectUri);
    const url = new URL(endpoint);
    url.searchParams.set("client_id", String(this.config.client_id));
    url.searchParams.set("post_logout_redirect_uri", this.redirectUri);
    // Cognito's own names for the same.
    url.searchParams.set("logout_uri", this.redirectUri);
    if (idToken) url.searchParams.set("id_token_hint", idToken);
    location.assign(url);
  }
}

function random() {
  return base64url(crypto.getRandomValues(new Uint8Array(RANDOM_BYTES)));
}

/** @param {string} verifier */
async function challenge(verifier) {
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
}

/** @param {Uint8Array} bytes */
function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** @param {string | undefined} token */
function claimsOf(token) {
  const payload = (token ?? "..").split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  return payload ? JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(payload), (c) => c.charCodeAt(0)))) : {};
}

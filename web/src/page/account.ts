import { Denied, type TokenSource } from "../connection/index.ts";

const STORED_AS = "collab.token";
/** How long before its end a token counts as run out. */
const MARGIN_MS = 60_000;

interface Token {
  readonly token: string;
  /** RFC 3339. */
  readonly expires_at: string;
}

/**
 * Who the person is: a guest, named once, and remembered in this browser for as long as the token
 * can be refreshed.
 */
export class Account implements TokenSource {
  /** One request at a time, whoever asks. */
  #asking: Promise<Token> | null = null;

  async current(): Promise<string> {
    const stored = read();
    const good = stored && !this.expiring ? stored : await this.#ask(stored);
    return good.token;
  }

  async renewed(): Promise<string> {
    return (await this.#ask(read())).token;
  }

  /** The token at hand is about to run out. */
  get expiring(): boolean {
    const stored = read();
    return stored !== null && Date.parse(stored.expires_at) - Date.now() < MARGIN_MS;
  }

  #ask(former: Token | null): Promise<Token> {
    this.#asking ??= obtain(former).finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }
}

/** A new token for the same guest, or for a new one where there is none to refresh. */
async function obtain(former: Token | null): Promise<Token> {
  const refreshed = former && (await post("/v1/auth/refresh", {}, former.token));
  const response =
    refreshed && refreshed.status !== 401
      ? refreshed
      : await post("/v1/auth/guest", { name: "Guest" });
  if (response.status >= 400 && response.status < 500 && response.status !== 429) {
    throw new Denied(`no token: ${response.status}`);
  }
  if (!response.ok) throw new Error(`no token for now: ${response.status}`);
  const { token, expires_at } = (await response.json()) as Token;
  localStorage.setItem(STORED_AS, JSON.stringify({ token, expires_at }));
  return { token, expires_at };
}

function post(path: string, body: object, token?: string): Promise<Response> {
  return fetch(path, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      ...(token && { Authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(body),
  });
}

function read(): Token | null {
  try {
    const stored = JSON.parse(localStorage.getItem(STORED_AS) ?? "null") as Token | null;
    return typeof stored?.token === "string" ? stored : null;
  } catch {
    return null;
  }
}

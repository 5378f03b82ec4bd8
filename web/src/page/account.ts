import { Denied, type TokenSource } from "../connection/index.ts";

const STORED_AS = "collab.token";
const NAME_STORED_AS = "collab.name";
const USER_STORED_AS = "collab.user";
/** Who does not say a name. */
const NAMELESS = "Guest";
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

  /** The person has said a name, or has come without one before. */
  get introduced(): boolean {
    return localStorage.getItem(NAME_STORED_AS) !== null || read() !== null;
  }

  get name(): string {
    return localStorage.getItem(NAME_STORED_AS) ?? NAMELESS;
  }

  /** A name for somebody who is not known to the server yet: the next token bears it. */
  introduce(name: string): void {
    localStorage.setItem(NAME_STORED_AS, name || NAMELESS);
  }

  /** Another name for the same person. False where the server cannot. */
  async rename(name: string): Promise<boolean> {
    const response = await send("PATCH", "/v1/me", { name }, await this.current());
    if (response.status === 404 || response.status === 405) return false;
    if (!response.ok) throw new Error(`no new name: ${response.status}`);
    // The token at hand says the old name.
    const body = (await response.json()) as Partial<Token>;
    if (body.token && body.expires_at) store({ token: body.token, expires_at: body.expires_at });
    else await this.renewed();
    this.introduce(name);
    return true;
  }

  /** Another person, as far as the server knows. */
  async startAnew(name: string): Promise<void> {
    await signIn(name);
    this.introduce(name);
  }

  /** The person's ID, under which what they typed is kept. Empty while nobody knows it. */
  async user(): Promise<string> {
    const known = localStorage.getItem(USER_STORED_AS);
    if (known !== null) return known;
    try {
      const headers = { Authorization: `Bearer ${await this.current()}` };
      const response = await fetch("/v1/me", { headers });
      if (response.ok) storeUser(((await response.json()) as { id: string }).id);
    } catch {
      // Without the server there is nothing kept either.
    }
    return localStorage.getItem(USER_STORED_AS) ?? "";
  }

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
    this.#asking ??= obtain(former, this.name).finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }
}

/** A new token for the same guest, or for a new one where there is none to refresh. */
async function obtain(former: Token | null, name: string): Promise<Token> {
  const refreshed = former && (await send("POST", "/v1/auth/refresh", {}, former.token));
  return refreshed && refreshed.status !== 401 ? taken(refreshed) : signIn(name);
}

async function signIn(name: string): Promise<Token> {
  return taken(await send("POST", "/v1/auth/guest", { name }));
}

async function taken(response: Response): Promise<Token> {
  if (response.status >= 400 && response.status < 500 && response.status !== 429) {
    throw new Denied(`no token: ${response.status}`);
  }
  if (!response.ok) throw new Error(`no token for now: ${response.status}`);
  const { token, expires_at, user } = (await response.json()) as Token & { user?: { id: string } };
  if (user) storeUser(user.id);
  return store({ token, expires_at });
}

function store(token: Token): Token {
  localStorage.setItem(STORED_AS, JSON.stringify(token));
  return token;
}

function storeUser(id: string): void {
  localStorage.setItem(USER_STORED_AS, id);
}

function send(method: string, path: string, body: object, token?: string): Promise<Response> {
  return fetch(path, {
    method,
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

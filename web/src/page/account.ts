import { Denied, type TokenSource } from "../connection/index.ts";
import { problem, type Sending, send } from "./rest.ts";
import {
  forgetWho,
  readToken,
  readWho,
  storeToken,
  storeWho,
  type Token,
  USER,
  USERNAME,
  type Who,
} from "./stored.ts";

/** Who does not say a name. */
const NAMELESS = "Guest";
/** How long before its end a token counts as run out. */
const MARGIN_MS = 60_000;

/** How somebody who is not known yet can come in. */
export interface Ways {
  readonly guests: boolean;
  readonly registration: boolean;
}

export interface NewAccount {
  readonly username: string;
  readonly password: string;
  readonly name: string;
}

interface SignedIn extends Token {
  readonly user: Who;
}

/**
 * Who the person is: a guest, named once, or somebody with an account; remembered in this browser
 * for as long as the token can be refreshed.
 *
 * A guest whose token cannot be refreshed gives way to a new guest of that name. Somebody with an
 * account is asked to sign in again: nobody becomes somebody else without knowing.
 */
export class Account implements TokenSource {
  /** As whom this page goes on: another tab may have signed in as somebody else since. */
  #who: Who | null = readWho();
  /** One request at a time, whoever asks. */
  #asking: Promise<Token> | null = null;
  #ways: Promise<Ways> | null = null;

  /** The person has said a name, or has come without one before. */
  get introduced(): boolean {
    return this.#who !== null;
  }

  get name(): string {
    return readWho()?.name || NAMELESS;
  }

  /** `null`: a guest. */
  get username(): string | null {
    return this.#who?.username ?? null;
  }

  /** Of a server that does not say, what always was there. */
  ways(): Promise<Ways> {
    this.#ways ??= send("GET", "/v1/auth").then(
      async (response) => (response.ok ? ((await response.json()) as Ways) : GUESTS_ONLY),
      () => {
        this.#ways = null;
        return GUESTS_ONLY;
      },
    );
    return this.#ways;
  }

  /** A name for somebody who is not known to the server yet: the next token bears it. */
  introduce(name: string): void {
    const { id = "", username = null } = this.#who ?? {};
    this.#become({ id, username, name: name || NAMELESS });
  }

  /** Another name for the same person. False where the server cannot. */
  async rename(name: string): Promise<boolean> {
    const response = await this.#send("PATCH", "/v1/me", { name });
    if (response.status === 404 || response.status === 405) return false;
    if (!response.ok) throw await problem(response);
    // The token at hand says the old name.
    const body = (await response.json()) as Partial<Token>;
    if (body.token && body.expires_at) {
      storeToken({ token: body.token, expires_at: body.expires_at });
    } else {
      await this.renewed();
    }
    this.introduce(name);
    return true;
  }

  /** Another guest, as far as the server knows. */
  async startAnew(name: string): Promise<void> {
    await this.#enterAsGuest(name);
  }

  /**
   * An account of one's own. A guest becomes it, and keeps what is theirs. True if it is somebody
   * else than before.
   */
  async register({ username, password, name }: NewAccount): Promise<boolean> {
    const former = readWho()?.id;
    const body = { username, password, ...(name && { name }) };
    // A name alone makes no guest: who was never known to the server has nothing to keep.
    const guest = readToken() !== null && this.username === null;
    const token = guest ? await this.current() : undefined;
    this.#enter(await taken(send("POST", "/v1/auth/register", { body, ...(token && { token }) })));
    return former !== this.#who?.id;
  }

  /** True if it is somebody else than before. */
  async signIn(username: string, password: string): Promise<boolean> {
    const former = readWho()?.id;
    this.#enter(await taken(send("POST", "/v1/auth/login", { body: { username, password } })));
    return former !== this.#who?.id;
  }

  /** Wherever else this person is signed in, they are signed out. */
  async changePassword(current: string, next: string): Promise<void> {
    this.#enter(await taken(this.#send("POST", "/v1/me/password", { current, new: next })));
  }

  /** Here at once; on the server as soon as it hears of it, even if the page is gone by then. */
  signOut(): void {
    const token = readToken()?.token;
    this.#who = null;
    forgetWho();
    if (token) void send("POST", "/v1/auth/logout", { token, keepalive: true }).catch(() => {});
  }

  /** Calls `gone` when another tab has signed out, or in as somebody else. */
  watch(gone: () => void): void {
    window.addEventListener("storage", ({ key }) => {
      if (key !== null && key !== USER && key !== USERNAME) return;
      if (this.#who !== null && !isSame(this.#who, readWho())) gone();
    });
  }

  /** The person's ID, under which what they typed is kept. Empty while nobody knows it. */
  async user(): Promise<string> {
    const known = this.#who?.id;
    if (known) return known;
    try {
      const token = await this.current();
      // Most often, the token's answer named it.
      if (this.#who?.id) return this.#who.id;
      const response = await send("GET", "/v1/me", { token });
      if (response.ok) {
        const { id, username = null } = (await response.json()) as Who;
        this.#become({ id, username, name: this.name });
      }
    } catch {
      // Without the server there is nothing kept either.
    }
    return this.#who?.id ?? "";
  }

  async current(): Promise<string> {
    const stored = this.#token();
    const good = stored && !this.expiring ? stored : await this.#ask(stored);
    return good.token;
  }

  async renewed(): Promise<string> {
    return (await this.#ask(this.#token())).token;
  }

  /** The token at hand is about to run out. */
  get expiring(): boolean {
    const stored = readToken();
    return stored !== null && Date.parse(stored.expires_at) - Date.now() < MARGIN_MS;
  }

  /** This person's token: not that of somebody who signed in beside them. */
  #token(): Token | null {
    const now = readWho();
    if (this.#who === null || !isSame(this.#who, now)) throw new Denied("nobody is signed in");
    this.#who = now;
    return readToken();
  }

  #ask(former: Token | null): Promise<Token> {
    this.#asking ??= this.#obtain(former).finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  /** A new token for the same person, or for a new guest where there is none to refresh. */
  async #obtain(former: Token | null): Promise<Token> {
    if (former) {
      const refreshed = await send("POST", "/v1/auth/refresh", { body: {}, token: former.token });
      // Another tab may have been quicker, or have signed out meanwhile.
      const token = this.#token();
      if (token && token.token !== former.token) return token;
      if (refreshed.status !== 401) return storeToken(await tokenIn(refreshed));
    }
    if (this.username !== null) throw new Denied("signed out");
    return this.#enterAsGuest(this.name);
  }

  async #enterAsGuest(name: string): Promise<Token> {
    const response = await send("POST", "/v1/auth/guest", { body: { name } });
    const { token, expires_at, user } = await tokenIn(response);
    this.#become({ id: user?.id ?? "", username: null, name });
    return storeToken({ token, expires_at });
  }

  async #send(method: string, path: string, body: object): Promise<Response> {
    const sending: Sending = { body, token: await this.current() };
    return send(method, path, sending);
  }

  #enter(signedIn: SignedIn): void {
    const { id, name, username = null } = signedIn.user;
    storeToken(signedIn);
    this.#become({ id, name, username });
  }

  #become(who: Who): void {
    this.#who = who;
    storeWho(who);
  }
}

const GUESTS_ONLY: Ways = { guests: true, registration: false };

/** One guest is as good as another: whoever is at this browser has only ever said a name. */
function isSame(one: Who, other: Who | null): boolean {
  if (other === null) return false;
  return one.id === other.id || (one.username === null && other.username === null);
}

async function taken(answer: Promise<Response>): Promise<SignedIn> {
  const response = await answer;
  if (!response.ok) throw await problem(response);
  return (await response.json()) as SignedIn;
}

/** Of an answer for which no person is there to read why. */
async function tokenIn(response: Response): Promise<Token & { user?: { id: string } }> {
  if (response.status >= 400 && response.status < 500 && response.status !== 429) {
    throw new Denied(`no token: ${response.status}`);
  }
  if (!response.ok) throw new Error(`no token for now: ${response.status}`);
  return (await response.json()) as Token & { user?: { id: string } };
}

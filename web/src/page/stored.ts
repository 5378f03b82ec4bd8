/** Who the person at this browser is, as far as it remembers. All tabs share it. */
export interface Who {
  /** The server's name for them; empty while nobody knows it. */
  readonly id: string;
  readonly name: string;
  /** `null`: a guest. */
  readonly username: string | null;
}

export interface Token {
  readonly token: string;
  /** RFC 3339. */
  readonly expires_at: string;
}

const TOKEN = "collab.token";
const NAME = "collab.name";
export const USER = "collab.user";
export const USERNAME = "collab.username";

export function readWho(): Who | null {
  const name = localStorage.getItem(NAME);
  if (name === null && readToken() === null) return null;
  return {
    id: localStorage.getItem(USER) ?? "",
    name: name ?? "",
    username: localStorage.getItem(USERNAME),
  };
}

export function storeWho({ id, name, username }: Who): void {
  localStorage.setItem(NAME, name);
  put(USERNAME, username);
  put(USER, id || null);
}

export function readToken(): Token | null {
  try {
    const stored = JSON.parse(localStorage.getItem(TOKEN) ?? "null") as Token | null;
    return typeof stored?.token === "string" ? stored : null;
  } catch {
    return null;
  }
}

export function storeToken({ token, expires_at }: Token): Token {
  const stored = { token, expires_at };
  localStorage.setItem(TOKEN, JSON.stringify(stored));
  return stored;
}

/** Nobody is at this browser any more. */
export function forgetWho(): void {
  for (const key of [TOKEN, NAME, USERNAME, USER]) localStorage.removeItem(key);
}

function put(key: string, value: string | null): void {
  if (value === null) localStorage.removeItem(key);
  else localStorage.setItem(key, value);
}

import { Denied, type TokenSource } from "../connection/index.ts";

/** The server answered, and not with what was asked for (RFC 9457). */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly status: number;
  /** Stable, where the answer has one. */
  readonly code: string;
  /** When it is worth another try, where the server says so. */
  readonly retry_after_ms: number | null;

  constructor(status: number, message: string, code = "", retry_after_ms: number | null = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.retry_after_ms = retry_after_ms;
  }
}

export interface Sending {
  readonly body?: object;
  /** It arrives even if the page is gone by then. */
  readonly keepalive?: boolean;
  readonly token?: string;
}

/** One request, whatever comes of it. */
export function send(
  method: string,
  path: string,
  { body, keepalive = false, token }: Sending = {},
): Promise<Response> {
  return fetch(path, {
    method,
    keepalive,
    headers: {
      ...(token && { Authorization: `Bearer ${token}` }),
      ...(body && { "Content-Type": "application/json" }),
    },
    ...(body && { body: JSON.stringify(body) }),
  });
}

/** The REST API, as the person whose tokens these are. Throws a `Problem` for any refusal. */
export class Rest {
  readonly #tokens: TokenSource;

  constructor(tokens: TokenSource) {
    this.#tokens = tokens;
  }

  async ask(method: string, path: string, sending: Sending = {}): Promise<Response> {
    const ask = (token: string) => send(method, path, { ...sending, token });
    let response = await ask(await this.#tokens.current());
    if (response.status === 401) response = await ask(await this.#tokens.renewed());
    if (!response.ok) throw await problem(response);
    return response;
  }
}

/** Why something could not be done, for a person to read. */
export function why(error: unknown): string {
  if (error instanceof Denied) return "You are signed out.";
  if (!(error instanceof Problem)) return "The server cannot be reached.";
  if (error.retry_after_ms === null) return error.message;
  return `${error.message} Try again in ${Math.ceil(error.retry_after_ms / 1000)} s.`;
}

export async function problem(response: Response): Promise<Problem> {
  const { status } = response;
  try {
    const said = (await response.json()) as {
      code?: string;
      detail?: string;
      title?: string;
      retry_after_ms?: number;
    };
    const words = said.detail ?? said.title;
    if (words) {
      return new Problem(status, sentence(words), said.code, said.retry_after_ms ?? null);
    }
  } catch {
    // Not a problem document: a proxy's page, say.
  }
  return new Problem(status, `The server answered ${status}.`);
}

function sentence(said: string): string {
  const ended = /[.!?]$/.test(said) ? said : `${said}.`;
  return ended.charAt(0).toUpperCase() + ended.slice(1);
}

import type { TokenSource } from "../connection/index.ts";

export interface DocumentSummary {
  readonly id: string;
  readonly title: string;
  /** The caller's. */
  readonly role: string;
  readonly owner: { readonly id: string; readonly name: string };
  /** RFC 3339. */
  readonly updated_at: string;
  /** How many are in it now. */
  readonly editors: number;
}

export interface Page {
  readonly items: readonly DocumentSummary[];
  /** The cursor of the next page; `null` after the last. */
  readonly next: string | null;
}

export type Sort = "-updated_at" | "-created_at" | "title";

export interface Wanted {
  readonly query: string;
  readonly sort: Sort;
  readonly limit: number;
  readonly cursor: string | null;
}

/** The server answered, and not with what was asked for (RFC 9457). */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** As much of the REST API as the page needs. */
export class Documents {
  readonly #tokens: TokenSource;

  constructor(tokens: TokenSource) {
    this.#tokens = tokens;
  }

  async page({ query, sort, limit, cursor }: Wanted): Promise<Page> {
    const parameters = new URLSearchParams({ sort, limit: String(limit) });
    if (query) parameters.set("q", query);
    if (cursor) parameters.set("cursor", cursor);
    return (await this.#ask("GET", `?${parameters}`)).json();
  }

  async create(title: string, text = ""): Promise<DocumentSummary> {
    return (await this.#ask("POST", "", { body: { title, ...(text && { text }) } })).json();
  }

  async look(id: string): Promise<DocumentSummary> {
    return (await this.#ask("GET", path(id))).json();
  }

  async rename(id: string, title: string): Promise<DocumentSummary> {
    return (await this.#ask("PATCH", path(id), { body: { title } })).json();
  }

  /** With `keepalive`, it arrives even if the page is gone by then. */
  async delete(id: string, keepalive: boolean): Promise<void> {
    await this.#ask("DELETE", path(id), { keepalive });
  }

  async #ask(
    method: string,
    where: string,
    { body, keepalive = false }: { body?: object; keepalive?: boolean } = {},
  ): Promise<Response> {
    const ask = async (token: string) =>
      fetch(`/v1/documents${where}`, {
        method,
        keepalive,
        headers: {
          Authorization: `Bearer ${token}`,
          ...(body && { "Content-Type": "application/json" }),
        },
        ...(body && { body: JSON.stringify(body) }),
      });
    let response = await ask(await this.#tokens.current());
    if (response.status === 401) response = await ask(await this.#tokens.renewed());
    if (!response.ok) throw new Problem(response.status, await reason(response));
    return response;
  }
}

/** Why something could not be done, for a person to read. */
export function why(error: unknown): string {
  if (error instanceof Problem) return error.message;
  return "The server cannot be reached.";
}

function path(id: string): string {
  return `/${encodeURIComponent(id)}`;
}

async function reason(response: Response): Promise<string> {
  try {
    const { detail, title } = (await response.json()) as { detail?: string; title?: string };
    const said = detail ?? title;
    if (said) return sentence(said);
  } catch {
    // Not a problem document: a proxy's page, say.
  }
  return `The server answered ${response.status}.`;
}

function sentence(said: string): string {
  const ended = /[.!?]$/.test(said) ? said : `${said}.`;
  return ended.charAt(0).toUpperCase() + ended.slice(1);
}

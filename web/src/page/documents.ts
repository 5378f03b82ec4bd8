import type { Role } from "../connection/index.ts";
import type { Rest, Sending } from "./rest.ts";

export interface DocumentSummary {
  readonly id: string;
  readonly title: string;
  /** The caller's. */
  readonly role: Role;
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

/** Documents, as much of them as the page needs. */
export class Documents {
  readonly #rest: Rest;

  constructor(rest: Rest) {
    this.#rest = rest;
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

  /** What a share link gives: the person has it from now on. */
  async comeBy(secret: string, password: string | null): Promise<DocumentSummary> {
    const body = { secret, ...(password !== null && { password }) };
    return (await this.#rest.ask("POST", "/v1/links", { body })).json();
  }

  #ask(method: string, where: string, sending?: Sending): Promise<Response> {
    return this.#rest.ask(method, `/v1/documents${where}`, sending);
  }
}

function path(id: string): string {
  return `/${encodeURIComponent(id)}`;
}

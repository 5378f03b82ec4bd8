import type { TokenSource } from "../connection/index.ts";

export interface DocumentSummary {
  readonly id: string;
  readonly title: string;
}

/** As much of the REST API as the page needs. */
export class Documents {
  readonly #tokens: TokenSource;

  constructor(tokens: TokenSource) {
    this.#tokens = tokens;
  }

  async list(): Promise<readonly DocumentSummary[]> {
    const { items } = await this.#ask<{ items: DocumentSummary[] }>("GET", "?sort=-updated_at");
    return items;
  }

  create(title: string): Promise<DocumentSummary> {
    return this.#ask("POST", "", { title });
  }

  look(id: string): Promise<DocumentSummary> {
    return this.#ask("GET", `/${encodeURIComponent(id)}`);
  }

  async #ask<Body>(method: string, path: string, body?: object): Promise<Body> {
    const ask = async (token: string) =>
      fetch(`/v1/documents${path}`, {
        method,
        headers: {
          Authorization: `Bearer ${token}`,
          ...(body && { "Content-Type": "application/json" }),
        },
        ...(body && { body: JSON.stringify(body) }),
      });
    let response = await ask(await this.#tokens.current());
    if (response.status === 401) response = await ask(await this.#tokens.renewed());
    if (!response.ok) throw new Error(`${method} /v1/documents${path}: ${response.status}`);
    return (await response.json()) as Body;
  }
}

import { WebSocket } from "ws";
import { type Environment, platform } from "../src/connection/index.ts";
import type { Backend } from "./backend.ts";

/** How long servers that are down are waited for, and how often they are asked. */
const PATIENCE_MS = 60_000;
const ASK_AGAIN_MS = 200;

/**
 * The real servers, each of which may be killed and started again at any time.
 *
 * As behind a load balancer: each connection and each request goes to the next of them.
 */
export class Servers implements Backend {
  readonly origin: string;
  readonly environment: Environment;
  readonly #origins: readonly string[];
  #count = 0;

  /** All over one Redis and one database. */
  constructor(origins: readonly string[]) {
    const [origin] = origins;
    if (!origin) throw new RangeError("no server");
    this.origin = origin;
    this.#origins = origins;
    this.environment = {
      ...node,
      connect: (url, events) => node.connect(this.#balanced(url), events),
      fetch: (url, init) => node.fetch(this.#balanced(url), init),
    };
  }

  async guest(name: string): Promise<string> {
    const { token } = await this.#post<{ token: string }>("/v1/auth/guest", { name });
    return token;
  }

  async create(token: string, title: string, text: string): Promise<string> {
    const { id } = await this.#post<{ id: string }>("/v1/documents", { title, text }, token);
    return id;
  }

  async text(token: string, document: string): Promise<string> {
    const response = await this.#ask(`/v1/documents/${document}/text`, { headers: bearer(token) });
    return response.text();
  }

  async #post<Body>(path: string, body: object, token?: string): Promise<Body> {
    const headers = { "Content-Type": "application/json", ...(token && bearer(token)) };
    const response = await this.#ask(path, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
    });
    return (await response.json()) as Body;
  }

  /** Asks until there is an answer. 429 and 5xx are none. */
  async #ask(path: string, init: RequestInit): Promise<Response> {
    const end = performance.now() + PATIENCE_MS;
    for (;;) {
      const url = this.#balanced(this.origin + path);
      const response = await fetch(url, init).catch((error: unknown) => String(error));
      if (typeof response !== "string" && response.ok) return response;
      const passing =
        typeof response === "string" || response.status === 429 || response.status >= 500;
      if (!passing || performance.now() > end) {
        const why = typeof response === "string" ? response : await response.text();
        throw new Error(`${init.method ?? "GET"} ${path}: ${why}`);
      }
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
    }
  }

  #balanced(url: string): string {
    const { protocol, pathname, search } = new URL(url);
    const { host } = new URL(this.#origins[this.#count++ % this.#origins.length] ?? this.origin);
    return `${protocol}//${host}${pathname}${search}`;
  }
}

function bearer(token: string): { Authorization: string } {
  return { Authorization: `Bearer ${token}` };
}

/** Node 20 has no `WebSocket` of its own. */
const node: Environment = {
  ...platform,
  connect(url, events) {
    const socket = new WebSocket(url, { perMessageDeflate: false });
    socket.on("open", () => events.opened());
    socket.on("message", (data, isBinary) => events.received(isBinary ? data : String(data)));
    // An error is always followed by a close.
    socket.on("error", () => {});
    socket.on("close", (code) => events.closed(code));
    return {
      send: (data) => socket.send(data),
      close: () => socket.close(),
    };
  },
};

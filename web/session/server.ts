import { WebSocket } from "ws";
import { type Environment, platform } from "../src/connection/index.ts";
import type { Backend } from "./backend.ts";

/** How long a server that is down is waited for, and how often it is asked. */
const PATIENCE_MS = 60_000;
const ASK_AGAIN_MS = 200;

/** The real server, which may be killed and started again at any time. */
export class Server implements Backend {
  readonly origin: string;
  readonly environment: Environment = node;

  constructor(origin: string) {
    this.origin = origin;
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
      const response = await fetch(this.origin + path, init).catch((error: unknown) =>
        String(error),
      );
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

import type { Answer, Environment, Socket, SocketEvents } from "../../src/connection/index.ts";
import { Clock } from "./clock.ts";

/** A world of its own: time passes when told to, and every socket is played by the test. */
export class World extends Clock implements Environment {
  readonly sockets: FakeSocket[] = [];
  readonly asked: string[] = [];
  /** What REST says to who asks; `null`: it cannot be reached. */
  answer: Answer | null = answer(200);
  /** What `random` gives. With 1, a wait is as long as it can be. */
  luck = 1;

  connect(url: string, events: SocketEvents): Socket {
    const socket = new FakeSocket(url, events);
    this.sockets.push(socket);
    return socket;
  }

  async fetch(url: string): Promise<Answer> {
    this.asked.push(url);
    if (!this.answer) throw new TypeError("no network");
    return this.answer;
  }

  random(): number {
    return this.luck;
  }

  /** The socket that was opened last. */
  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error("nobody connected");
    return socket;
  }
}

export function answer(status: number, headers: Record<string, string> = {}): Answer {
  return { status, headers: { get: (name) => headers[name] ?? null } };
}

/** A client's socket, seen from the server. */
export class FakeSocket implements Socket {
  readonly url: URL;
  /** The client let go of it. */
  closed = false;
  readonly #events: SocketEvents;
  readonly #sent: unknown[] = [];

  constructor(url: string, events: SocketEvents) {
    this.url = new URL(url);
    this.#events = events;
  }

  send(data: string): void {
    this.#sent.push(JSON.parse(data));
  }

  close(): void {
    this.closed = true;
  }

  /** What the handshake names, without what is always there. */
  get asks(): Record<string, string> {
    const { token: _, client: __, ...rest } = Object.fromEntries(this.url.searchParams);
    return rest;
  }

  /** What the client has said since this was last read. */
  heard(): unknown[] {
    return this.#sent.splice(0);
  }

  accept(): void {
    this.#events.opened();
  }

  say(message: object): void {
    this.#events.received(JSON.stringify(message));
  }

  /** As the wire brings it, whatever it is. */
  sayRaw(data: unknown): void {
    this.#events.received(data);
  }

  drop(code = 1006): void {
    this.#events.closed(code);
  }
}

/** What the connection needs of the world around it. Everything else about it is deterministic. */
export interface Environment {
  /** Opens a WebSocket. The events come later, never from inside this call. */
  connect(url: string, events: SocketEvents): Socket;
  fetch(url: string, init: { readonly headers: Record<string, string> }): Promise<Answer>;
  /** Milliseconds of a clock that does not go back, and goes on while the machine sleeps. */
  now(): number;
  /** Runs `action` once after `delay_ms`, unless cancelled before. */
  schedule(delay_ms: number, action: () => void): Cancel;
  /** From 0 up to but not 1. */
  random(): number;
}

export interface Socket {
  send(data: string): void;
  close(): void;
}

export interface SocketEvents {
  opened(): void;
  received(data: unknown): void;
  /** Comes once, also where the socket never opened. */
  closed(code: number): void;
}

export type Cancel = () => void;

/** As much of `Response` as is read. */
export interface Answer {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
}

/** The browser's own, and Node's where it has a `WebSocket`. */
export const platform: Environment = {
  connect(url, events) {
    const socket = new WebSocket(url);
    socket.onopen = () => events.opened();
    socket.onmessage = (event) => events.received(event.data);
    socket.onerror = () => {}; // a close follows
    socket.onclose = (event) => events.closed(event.code);
    return {
      send: (data) => socket.send(data),
      close: () => socket.close(),
    };
  },
  fetch: (url, init) => fetch(url, init),
  now: steady(Date.now),
  schedule(delay_ms, action) {
    const timer = setTimeout(action, delay_ms);
    return () => clearTimeout(timer);
  },
  random: Math.random,
};

/**
 * The wall's clock, without its steps back. `performance.now` would stand still while some machines
 * sleep, and a session would seem alive that has long been dead.
 */
export function steady(wall_ms: () => number): () => number {
  let before = wall_ms();
  let behind = 0;
  return () => {
    const now = wall_ms();
    if (now < before) behind += before - now;
    before = now;
    return now + behind;
  };
}

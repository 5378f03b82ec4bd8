import type { Answer, Cancel, Environment, Socket, SocketEvents } from "../src/connection/index.ts";
import type { Random } from "./random.ts";

export interface Weather {
  /** What a message takes at most, each way. */
  readonly latency_ms: number;
  /** Percent of the resumes that start fresh instead, and of those that name a wrong mark. */
  readonly fresh: number;
  readonly bogus: number;
}

export interface Tally {
  reloads: number;
  cuts: number;
  resumes: number;
  resets: number;
  fresh: number;
  ordered: number;
  void: number;
}

/** What was sent before a cut may take as much longer, and the old connection stays open as long. */
const LATE_MS = 800;
const LINGER_MS = 400;

/**
 * One editor's bad network: late in both ways, cut at times, and with handshakes that do not say
 * what the client said. Order within a direction is kept, as TCP keeps it.
 *
 * What was sent before a cut still arrives, late: the server may hear a former session's push, or
 * its very handshake, when the client is back already.
 */
export class Network implements Environment {
  weather: Weather;
  readonly tally: Tally = {
    reloads: 0,
    cuts: 0,
    resumes: 0,
    resets: 0,
    fresh: 0,
    ordered: 0,
    void: 0,
  };
  readonly #inner: Environment;
  readonly #random: Random;
  readonly #complain: (complaint: string) => void;
  #cut: () => void = () => {};
  #down_until = 0;

  constructor(
    inner: Environment,
    weather: Weather,
    random: Random,
    complain: (complaint: string) => void,
  ) {
    this.#inner = inner;
    this.weather = weather;
    this.#random = random;
    this.#complain = complain;
  }

  /** Breaks the connection as the client sees it, and lets no other through for `pause_ms`. */
  cut(pause_ms: number): void {
    this.#down_until = this.now() + pause_ms;
    this.#cut();
  }

  connect(url: string, events: SocketEvents): Socket {
    if (this.#down) {
      this.schedule(0, () => events.closed(1006));
      return { send: () => {}, close: () => {} };
    }
    const asked = this.#ask(new URL(url));
    const up = new Lane(this, () => this.#latency());
    const down = new Lane(this, () => this.#latency());
    let socket: Socket | null = null;
    let listening = true;
    let cut = false;
    const tell = (action: () => void) => down.send(() => listening && action());

    up.send(() => {
      socket = this.#inner.connect(asked.url, {
        opened: () => tell(events.opened),
        received: (data) =>
          tell(() => {
            this.#read(data, asked);
            events.received(data);
          }),
        closed: (code) =>
          tell(() => {
            listening = false;
            events.closed(code);
          }),
      });
    });
    this.#cut = () => {
      if (!listening) return;
      this.tally.cuts++;
      cut = true;
      listening = false;
      this.schedule(0, () => events.closed(1006));
      if (this.#random.chance(50)) up.hold(this.#random.below(LATE_MS));
      const linger_ms = this.#random.below(LINGER_MS);
      up.send(() => this.schedule(linger_ms, () => socket?.close()));
    };
    return {
      send: (data) => up.send(() => socket?.send(data)),
      close: () => {
        listening = false;
        if (!cut) up.send(() => socket?.close());
      },
    };
  }

  async fetch(url: string, init: { headers: Record<string, string> }): Promise<Answer> {
    if (this.#down) throw new TypeError("no network");
    return this.#inner.fetch(url, init);
  }

  now(): number {
    return this.#inner.now();
  }

  schedule(delay_ms: number, action: () => void): Cancel {
    return this.#inner.schedule(delay_ms, action);
  }

  random(): number {
    return this.#random.fraction();
  }

  get #down(): boolean {
    return this.now() < this.#down_until;
  }

  #latency(): number {
    return this.#random.fraction() * this.weather.latency_ms;
  }

  #ask(url: URL): Asked {
    const query = url.searchParams;
    let how: Asked["how"] = query.has("revision") ? "resume" : "fresh";
    if (how === "resume" && this.#random.chance(this.weather.fresh)) {
      query.delete("revision");
      query.delete("mark");
      how = "fresh";
    } else if (how === "resume" && this.#random.chance(this.weather.bogus)) {
      query.set("mark", `bogus-${this.#random.below(1_000)}`);
      how = "bogus";
    }
    return { how, url: url.href };
  }

  /** Counts the answers to handshakes, and sees that they are answers to what was asked. */
  #read(data: unknown, { how }: Asked): void {
    if (typeof data !== "string" || !data.includes('"welcome"')) return;
    const welcome = JSON.parse(data) as Record<string, unknown>;
    if (welcome.type !== "welcome") return;
    const answer = welcome.reset ? "reset" : "text" in welcome ? "fresh" : "resume";
    this.tally[answer === "reset" ? "resets" : answer === "fresh" ? "fresh" : "resumes"]++;
    if (welcome.inflight === "ordered") this.tally.ordered++;
    if (welcome.inflight === "void") this.tally.void++;
    if (answer !== (how === "bogus" ? "reset" : how)) {
      this.#complain(`asked for a ${how} start, and got a ${answer}`);
    }
  }
}

interface Asked {
  readonly how: "fresh" | "resume" | "bogus";
  readonly url: string;
}

/** One direction of a connection: late, and in order. */
class Lane {
  readonly #environment: Environment;
  readonly #latency: () => number;
  readonly #queue: { at: number; action: () => void }[] = [];
  #held_until = 0;

  constructor(environment: Environment, latency: () => number) {
    this.#environment = environment;
    this.#latency = latency;
  }

  send(action: () => void): void {
    this.#queue.push({ at: this.#environment.now() + this.#latency(), action });
    if (this.#queue.length === 1) this.#arm();
  }

  /** Lets nothing more arrive for `ms`. */
  hold(ms: number): void {
    this.#held_until = this.#environment.now() + ms;
  }

  #arm(): void {
    const [head] = this.#queue;
    if (!head) return;
    const now = this.#environment.now();
    this.#environment.schedule(Math.max(0, head.at - now), () => {
      head.at = this.#held_until;
      if (head.at <= this.#environment.now()) {
        head.action();
        this.#queue.shift();
      }
      this.#arm();
    });
  }
}

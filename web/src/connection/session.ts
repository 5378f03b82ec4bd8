import type { Announcer } from "./announcer.ts";
import type { Cancel, Environment, Socket } from "./environment.ts";
import { Gap, type Ledger } from "./ledger.ts";
import type { Pace } from "./pace.ts";
import type { Peers } from "./peers.ts";
import type { Replica } from "./replica.ts";
import type { Live, Why } from "./state.ts";
import {
  type Changes,
  type ClientMessage,
  decode,
  type Limits,
  type ServerMessage,
  WireError,
} from "./wire.ts";

/** What a session takes part in, and outlives it. */
export interface Surroundings {
  readonly environment: Environment;
  readonly replica: Replica;
  readonly ledger: Ledger;
  readonly pace: Pace;
  readonly peers: Peers;
  readonly announcer: Announcer;
  readonly kept: (() => Promise<void>) | null;
}

export interface SessionEvents {
  /** The welcome came, or something that it had told has changed. */
  live(live: Live): void;
  /** A message was taken in. */
  changed(): void;
  /** This side has to give up the session. */
  broken(why: Why): void;
  /** The server's side has ended, or the network. */
  closed(code: number): void;
}

/** How late a beat may be where there is reason to doubt that it comes. */
const LATE_BEAT_MS = 2_000;

/** One session: from the handshake to its end, message by message. */
export class Session {
  /** The handshake was accepted. */
  opened = false;
  /** When the welcome came. */
  live_since: number | null = null;
  /** Said in a goodbye (H9). */
  come_back_ms: number | null = null;

  readonly #around: Surroundings;
  readonly #events: SessionEvents;
  readonly #socket: Socket;
  #live: Live | null = null;
  #ended = false;
  /** The replica is being told something, and cannot push from within. */
  #telling = false;
  /** When the welcome or the last beat came. */
  #heard_ms = 0;
  #silence: Cancel = () => {};
  #pause: Cancel = () => {};
  #hush: Cancel = () => {};

  constructor(url: string, around: Surroundings, events: SessionEvents) {
    this.#around = around;
    this.#events = events;
    this.#socket = around.environment.connect(url, {
      opened: () => {
        this.opened = true;
      },
      received: (data) => {
        if (!this.#ended) this.#received(data);
      },
      closed: (code) => {
        if (!this.#ended) events.closed(code);
      },
    });
  }

  /** Lets go of the socket: whatever it still brings is dropped. */
  end(): void {
    this.#ended = true;
    this.#silence();
    this.#pause();
    this.#hush();
    this.#socket.close();
  }

  send(message: ClientMessage): void {
    this.#socket.send(JSON.stringify(message));
  }

  get pushable(): Limits | null {
    const { environment, ledger, pace } = this.#around;
    if (!this.#live || this.#telling || ledger.inflight) return null;
    return pace.left_ms(environment.now()) > 0 ? null : this.#live.limits;
  }

  /**
   * Where the push is kept first, the session may end before it is sent. Then the next handshake
   * names it all the same, and learns that it is void.
   */
  push(updates: readonly Changes[]): void {
    const limits = this.pushable;
    if (!limits) throw new Error("no push may be sent now");
    const { environment, ledger, pace, kept } = this.#around;
    const push = ledger.push(updates);
    pace.sent(environment.now(), limits.pushes_per_second);
    if (!kept) this.send(push);
    else void kept().then(() => this.#ended || this.send(push));
  }

  /** Says where this client's cursors are, if others do not know, as soon as the limits allow. */
  announce(): void {
    const { announcer, environment } = this.#around;
    const limits = this.#live?.limits;
    if (!limits || limits.presence_hz === 0 || this.#telling || !announcer.due) return;
    const now_ms = environment.now();
    const left_ms = announcer.left_ms(now_ms);
    this.#hush();
    if (left_ms > 0) this.#hush = environment.schedule(left_ms, () => this.announce());
    else this.send(announcer.say(now_ms, limits));
  }

  /** The next beat is due soon. A session that is silent for too long is dead already. */
  doubt(): "dead" | "doubtful" {
    const { environment } = this.#around;
    if (!this.#live) return "doubtful";
    const silent_ms = environment.now() - this.#heard_ms;
    const heartbeat_ms = 1000 * this.#live.limits.heartbeat_s;
    if (silent_ms >= 2 * heartbeat_ms) return "dead";
    const left_ms = Math.max(heartbeat_ms + LATE_BEAT_MS - silent_ms, LATE_BEAT_MS);
    this.#expectBeatIn(Math.min(left_ms, 2 * heartbeat_ms - silent_ms));
    return "doubtful";
  }

  #received(data: unknown): void {
    this.#telling = true;
    try {
      const message = decode(data);
      if (message) this.#take(message);
    } catch (error) {
      this.#break(error);
    } finally {
      this.#telling = false;
    }
    if (this.#ended) return;
    this.#events.changed();
    this.announce();
    this.#offer();
  }

  #take(message: ServerMessage): void {
    const { ledger, peers, announcer } = this.#around;
    if ((message.type === "welcome") === (this.#live !== null)) {
      throw new WireError("the welcome comes first, and once");
    }
    switch (message.type) {
      case "welcome": {
        ledger.welcome(message);
        const { client, session, revision, role, limits } = message;
        const length = unitsOf(this.#around.replica.text());
        peers.begin(client, revision, length, message.presence);
        announcer.begin(revision, length);
        this.live_since = this.#around.environment.now();
        this.#enter({ kind: "live", client, session, role, limits });
        this.#listen();
        break;
      }
      case "updates": {
        const waited = ledger.inflight;
        // First, so that the replica finds them where they are in its next text.
        peers.follow(message);
        ledger.updates(message);
        announcer.follow(message, this.#live?.client ?? "");
        if (waited && !ledger.inflight) this.#around.pace.settled();
        break;
      }
      case "beat":
        this.send({ type: "beat" });
        ledger.beat(message);
        this.#listen();
        break;
      case "saved":
        ledger.saveUpTo(message.revision);
        break;
      case "refused": {
        const { environment, pace } = this.#around;
        const verdict = ledger.refused(message);
        if (verdict === "final") pace.settled();
        else pace.refused(environment.now(), message.retry_after_ms, environment.random());
        break;
      }
      case "presence":
        peers.hear(message);
        break;
      case "role":
        if (this.#live) this.#enter({ ...this.#live, role: message.role });
        break;
      case "goodbye":
        this.come_back_ms = message.retry_after_ms;
        break;
    }
  }

  #enter(live: Live): void {
    this.#live = live;
    this.#events.live(live);
  }

  /** What the server said makes no sense here. Where the text may be wrong, it is fetched anew. */
  #break(error: unknown): void {
    if (error instanceof Gap || error instanceof WireError) {
      this.#events.broken("lost");
    } else {
      this.#around.ledger.forget();
      this.#events.broken("diverged");
    }
  }

  /** U5: without a beat for two heartbeats, the connection counts as dead. */
  #listen(): void {
    if (!this.#live) return;
    this.#heard_ms = this.#around.environment.now();
    this.#expectBeatIn(2000 * this.#live.limits.heartbeat_s);
  }

  #expectBeatIn(limit_ms: number): void {
    this.#silence();
    this.#silence = this.#around.environment.schedule(limit_ms, () =>
      this.#events.broken("silent"),
    );
  }

  /** Lets the replica push, now or as soon as the pace allows it. */
  #offer(): void {
    const { environment, ledger, pace, replica } = this.#around;
    if (!this.#live || ledger.inflight) return;
    this.#pause();
    const left_ms = pace.left_ms(environment.now());
    if (left_ms > 0) this.#pause = environment.schedule(left_ms, () => this.#offer());
    else replica.ready();
  }
}

function unitsOf(text: Iterable<string>): number {
  let units = 0;
  for (const piece of text) units += piece.length;
  return units;
}

import type { Cancel, Environment, Socket } from "./environment.ts";
import { Gap, type Ledger } from "./ledger.ts";
import type { Pace } from "./pace.ts";
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
  #silence: Cancel = () => {};
  #pause: Cancel = () => {};

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

  push(updates: readonly Changes[]): void {
    const limits = this.pushable;
    if (!limits) throw new Error("no push may be sent now");
    const { environment, ledger, pace } = this.#around;
    const push = ledger.push(updates);
    pace.sent(environment.now(), limits.pushes_per_second);
    this.send(push);
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
    this.#offer();
  }

  #take(message: ServerMessage): void {
    const { ledger } = this.#around;
    if ((message.type === "welcome") === (this.#live !== null)) {
      throw new WireError("the welcome comes first, and once");
    }
    switch (message.type) {
      case "welcome": {
        ledger.welcome(message);
        const { client, session, role, limits } = message;
        this.live_since = this.#around.environment.now();
        this.#enter({ kind: "live", client, session, role, limits });
        this.#listen();
        break;
      }
      case "updates": {
        const waited = ledger.inflight;
        ledger.updates(message);
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
    const limit_ms = 2000 * this.#live.limits.heartbeat_s;
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

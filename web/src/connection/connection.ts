import { Announcer } from "./announcer.ts";
import { type Cancel, type Environment, platform } from "./environment.ts";
import { Ledger, type Memory } from "./ledger.ts";
import { Pace } from "./pace.ts";
import { type Peer, Peers } from "./peers.ts";
import {
  afterAnswer,
  afterClose,
  type Backoff,
  backoff_ms,
  blamesPush,
  type Next,
} from "./policy.ts";
import type { Range } from "./positions.ts";
import type { Replica } from "./replica.ts";
import { Session } from "./session.ts";
import type { State, StopReason, Why } from "./state.ts";
import { Denied, type TokenSource } from "./tokens.ts";
import type { Changes, Limits } from "./wire.ts";

export interface ConnectionOptions {
  /** The server's origin, as `https://host`. */
  readonly origin: string;
  /** The document's ID. */
  readonly document: string;
  readonly tokens: TokenSource;
  readonly backoff?: Backoff;
  /** How long a token, a handshake or an answer may take. */
  readonly patience_ms?: number;
  readonly environment?: Environment;
  /** Whom to go on as: the replica has the text and the changes that belong to it. */
  readonly memory?: Memory | null;
  /** Waited for before a push leaves: by then, what it says is kept where a reload finds it. */
  readonly kept?: (() => Promise<void>) | null;
}

const BACKOFF: Backoff = { first_ms: 500, ceiling_ms: 30_000 };
const PATIENCE_MS = 20_000;
/** A session that held this long was a good one: the backoff begins anew after it. */
const STABLE_MS = 5_000;

/**
 * One step on the way: there is one at a time, and whatever a former one still brings (a token, an
 * answer) is late, and is dropped.
 */
interface Attempt {
  session: Session | null;
  /** What happens if nothing else does. */
  timer: Cancel;
}

/**
 * A replica's connection to its document: begins, keeps and resumes sessions, tells the replica
 * what the server orders, and sends its pushes, one at a time.
 *
 * `changed` is called after anything that can be read here may have changed.
 */
export class Connection {
  readonly #replica: Replica;
  readonly #changed: () => void;
  readonly #environment: Environment;
  readonly #url: string;
  readonly #tokens: TokenSource;
  readonly #backoff: Backoff;
  readonly #patience_ms: number;
  readonly #kept: (() => Promise<void>) | null;
  readonly #ledger: Ledger;
  readonly #pace: Pace;
  readonly #peers = new Peers();
  readonly #announcer = new Announcer();

  #state: State = { kind: "idle" };
  #attempt: Attempt = { session: null, timer: () => {} };
  /** Waits since the last session that held. */
  #failures = 0;
  #token: "current" | "to renew" | "renewed" = "current";
  /**
   * A handshake of ours, or of whom we go on as, ended without a welcome; for all we know, it may
   * reach the server yet.
   */
  #stray: boolean;

  constructor(options: ConnectionOptions, replica: Replica, changed: () => void) {
    this.#replica = replica;
    this.#changed = changed;
    this.#environment = options.environment ?? platform;
    this.#url = `${options.origin}/v1/documents/${encodeURIComponent(options.document)}`;
    this.#tokens = options.tokens;
    this.#backoff = options.backoff ?? BACKOFF;
    this.#patience_ms = options.patience_ms ?? PATIENCE_MS;
    this.#kept = options.kept ?? null;
    this.#stray = options.memory != null;
    this.#ledger = new Ledger(replica, options.memory ?? null);
    this.#pace = new Pace(this.#backoff);
  }

  get state(): State {
    return this.#state;
  }

  /** The last revision that the replica was told of. */
  get revision(): number {
    return this.#ledger.revision;
  }

  /** The fate of a push is not known yet. */
  get inflight(): boolean {
    return this.#ledger.inflight;
  }

  /** The database has all that was ordered from here. What was not is the replica's to know. */
  get saved(): boolean {
    return this.#ledger.saved;
  }

  /** What to go on from after the page is gone. It holds between two messages, not within one. */
  get memory(): Memory {
    return this.#ledger.memory;
  }

  /** Who else is here: the same list until something in it changes, empty between sessions. */
  get peers(): readonly Peer[] {
    return this.#peers.list;
  }

  /** The limits to keep to, if a push may be sent now. */
  get pushable(): Limits | null {
    return this.#attempt.session?.pushable ?? null;
  }

  open(): void {
    if (this.#state.kind !== "idle" && this.#state.kind !== "stopped") return;
    this.#failures = 0;
    this.#connect();
  }

  /** Ends the session. Nothing is forgotten: `open` goes on from there. */
  close(): void {
    this.#stop("closed");
  }

  /**
   * Forgets what is in flight, and how far the text has come: nobody will say what became of it.
   * Only while nothing is open. Should it be opened again, it starts fresh.
   */
  abandon(): void {
    if (this.#state.kind !== "stopped") throw new Error("a session may still tell");
    this.#ledger.abandon();
  }

  /** Cuts a wait short: the person asks. */
  retry(): void {
    if (this.#state.kind === "waiting") this.#connect();
  }

  /**
   * Something may have happened while nobody looked: the network is another one, or the machine
   * slept. What the server asked to wait for is waited for.
   */
  wake(): void {
    const state = this.#state;
    if (state.kind === "waiting") {
      const asked = state.why === "restart" || state.why === "busy";
      if (!asked || state.until <= this.#environment.now()) this.#connect();
    } else if (state.kind === "live" && this.#attempt.session?.doubt() === "dead") {
      this.#connect();
    }
  }

  /**
   * Tells the others where this client's cursors are, in the confirmed text at `revision` (A1):
   * soon if live, and else when it is again. No ranges: present, without a cursor.
   */
  present(ranges: readonly Range[]): void {
    this.#announcer.want(ranges);
    this.#attempt.session?.announce();
  }

  /** Gives a live session a newer token before its own runs out (X1). */
  renew(token: string): void {
    if (this.#state.kind === "live") this.#attempt.session?.send({ type: "token", token });
  }

  /** Sends one push (P1), only while `pushable`. */
  push(updates: readonly Changes[]): void {
    if (!this.#attempt.session) throw new Error("no push may be sent now");
    this.#attempt.session.push(updates);
    this.#changed();
  }

  // The way to a session

  #connect(): void {
    const attempt = this.#begin({ kind: "connecting", step: "token" }, this.#patience_ms, () =>
      this.#wait("lost"),
    );
    const renewing = this.#token === "to renew";
    (renewing ? this.#tokens.renewed() : this.#tokens.current()).then(
      (token) => {
        if (attempt !== this.#attempt) return;
        if (renewing) this.#token = "renewed";
        this.#shakeHands(token);
      },
      (error: unknown) => {
        if (attempt !== this.#attempt) return;
        if (error instanceof Denied) this.#stop("unauthorized");
        else this.#wait("lost");
      },
    );
  }

  /** H1. */
  #shakeHands(token: string): void {
    const attempt = this.#begin(
      { kind: "connecting", step: "handshake" },
      this.#patience_ms,
      () => {
        this.#stray = true;
        this.#wait("lost");
      },
    );
    const query = new URLSearchParams({ token, ...this.#ledger.handshake });
    const around = {
      environment: this.#environment,
      replica: this.#replica,
      ledger: this.#ledger,
      pace: this.#pace,
      peers: this.#peers,
      announcer: this.#announcer,
      kept: this.#kept,
    };
    const session = new Session(`${this.#url.replace(/^http/, "ws")}/live?${query}`, around, {
      live: (live) => {
        attempt.timer();
        this.#token = "current";
        this.#state = live;
      },
      changed: () => this.#changed(),
      broken: (why) => this.#wait(why),
      closed: (code) => this.#closed(session, code, token),
    });
    attempt.session = session;
  }

  #closed({ opened, live_since, come_back_ms }: Session, code: number, token: string): void {
    if (live_since === null) this.#stray = true;
    else if (this.#environment.now() - live_since >= STABLE_MS) this.#failures = 0;

    if (!opened) {
      this.#askWhy(token);
    } else if (come_back_ms !== null) {
      this.#waitFor(come_back_ms, "restart");
    } else {
      if (blamesPush(code)) this.#ledger.blame(code);
      this.#follow(afterClose(code));
    }
  }

  /** H2: the refusal itself tells a page nothing, so it asks before it tries again. */
  #askWhy(token: string): void {
    const attempt = this.#begin({ kind: "connecting", step: "reason" }, this.#patience_ms, () =>
      this.#wait("lost"),
    );
    this.#environment.fetch(this.#url, { headers: { Authorization: `Bearer ${token}` } }).then(
      (answer) => {
        if (attempt === this.#attempt) this.#follow(afterAnswer(answer));
      },
      () => {
        if (attempt === this.#attempt) this.#wait("lost");
      },
    );
  }

  #follow(next: Next): void {
    switch (next.kind) {
      case "retry":
        this.#wait(next.why, next.least_ms);
        break;
      case "renew":
        // Once: a new token that is not taken either will not be the next time.
        if (this.#token === "renewed") {
          this.#stop("unauthorized");
        } else {
          this.#token = "to renew";
          this.#connect();
        }
        break;
      case "replaced":
        // The newer session may be a stray handshake of our own, which nobody listens to any more.
        // Then the ID is still ours, and only under it can a push in flight be settled.
        if (this.#stray) {
          this.#stray = false;
          this.#wait("lost");
        } else {
          this.#stop("replaced");
        }
        break;
      case "stop":
        this.#stop(next.reason);
        break;
    }
  }

  #wait(why: Why, least_ms = 0): void {
    const jitter_ms = backoff_ms(this.#backoff, this.#failures, this.#environment.random());
    this.#waitFor(Math.max(least_ms, jitter_ms), why);
  }

  #waitFor(delay_ms: number, why: Why): void {
    this.#failures++;
    const until = this.#environment.now() + delay_ms;
    this.#begin({ kind: "waiting", until, why }, delay_ms, () => this.#connect());
  }

  #stop(reason: StopReason): void {
    this.#leave({ kind: "stopped", reason }, { session: null, timer: () => {} });
  }

  /** The next attempt, and what is done if nothing has come of it in time. */
  #begin(state: State, limit_ms: number, late: () => void): Attempt {
    const attempt = { session: null, timer: this.#environment.schedule(limit_ms, late) };
    this.#leave(state, attempt);
    return attempt;
  }

  #leave(state: State, next: Attempt): void {
    const former = this.#attempt;
    this.#attempt = next;
    former.timer();
    former.session?.end();
    this.#peers.end();
    this.#state = state;
    this.#changed();
  }
}

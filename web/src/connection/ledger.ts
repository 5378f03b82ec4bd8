import { crc32 } from "./crc32.ts";
import { newClientId } from "./identity.ts";
import type { Rejection, Replica } from "./replica.ts";
import type { Beat, Changes, ClientMessage, Refused, Updates, Welcome } from "./wire.ts";

/** Something between here and the server was lost or doubled: resume from where this client is. */
export class Gap extends Error {
  override readonly name = "Gap";
}

/** The confirmed text cannot be the server's: start fresh (U6). */
export class Diverged extends Error {
  override readonly name = "Diverged";
}

/**
 * What a client has to know again to go on where it was (H5, H7), also after its page is gone: it
 * belongs to the replica's confirmed text at `at.revision` and to its unconfirmed changes, the
 * first `flight.count` of which are in flight.
 *
 * It names the client's secret ID: keep it only where no other tab takes it while this one lives.
 */
export interface Memory {
  readonly client: string;
  readonly at: { readonly revision: number; readonly mark: string } | null;
  /** The last `seq` that was used. */
  readonly seq: number;
  readonly flight: { readonly seq: number; readonly count: number } | null;
  readonly saved: number;
  /** The last revision that is certainly not before this client's last ordered update. */
  readonly own: number;
}

interface Flight {
  readonly seq: number;
  /** How many updates were pushed. */
  readonly count: number;
  /** The server ended a session over this push: if it turns out void, it is not sent again. */
  blame: Rejection | null;
}

/**
 * What this client knows of the history: how far it has followed it, how far the database has, and
 * what became of its own pushes. It outlives sessions, and has no clock and no socket.
 */
export class Ledger {
  /** The secret ID. */
  readonly id: string;
  readonly #replica: Replica;
  /** Where a resume begins; `null`: the next handshake starts fresh. */
  #at: { revision: number; mark: string } | null = null;
  /** The public name. */
  #client = "";
  #seq = 0;
  #flight: Flight | null = null;
  #saved = 0;
  /** The last revision that is certainly not before this client's last ordered update. */
  #own = 0;

  constructor(replica: Replica, memory: Memory | null) {
    this.#replica = replica;
    this.id = memory?.client ?? newClientId();
    if (!memory) return;
    this.#at = memory.at;
    this.#seq = memory.seq;
    this.#flight = memory.flight && { ...memory.flight, blame: null };
    this.#saved = memory.saved;
    this.#own = memory.own;
  }

  get memory(): Memory {
    const flight = this.#flight && { seq: this.#flight.seq, count: this.#flight.count };
    return {
      client: this.id,
      at: this.#at,
      seq: this.#seq,
      flight,
      saved: this.#saved,
      own: this.#own,
    };
  }

  /** What the handshake names (H1). */
  get handshake(): Record<string, string> {
    return {
      client: this.id,
      ...(this.#at && { revision: String(this.#at.revision), mark: this.#at.mark }),
      ...(this.#flight && { inflight: String(this.#flight.seq) }),
    };
  }

  get inflight(): boolean {
    return this.#flight !== null;
  }

  get revision(): number {
    return this.#at?.revision ?? 0;
  }

  /** The database has all that this client has had ordered (half of S2). */
  get saved(): boolean {
    return this.#flight === null && this.#saved >= this.#own;
  }

  /** Forgets how far it has come: the next handshake starts fresh. */
  forget(): void {
    this.#at = null;
  }

  /** Nobody will ever tell what became of the push in flight, or of what is not saved. */
  abandon(): void {
    this.#at = null;
    this.#flight = null;
    this.#own = 0;
  }

  /** H4 to H7. */
  welcome(welcome: Welcome): void {
    const flight = this.#flight;
    if (flight && welcome.inflight === null) throw new Gap("the push in flight is not settled");
    this.#client = welcome.client;

    if (welcome.text !== null) {
      // A fresh start, asked for or not. An ordered push is in this very text, so nothing of it
      // comes back; which revision it made is not told, only that it is none after this one.
      this.#flight = null;
      this.#at = { revision: welcome.revision, mark: welcome.mark };
      this.#saved = welcome.saved;
      if (flight || this.#own > 0) this.#own = welcome.revision;
      const ordered = flight !== null && welcome.inflight === "ordered";
      this.#replica.start(welcome.text, ordered ? flight.count : 0);
    } else {
      if (welcome.revision !== this.#at?.revision || welcome.mark !== this.#at.mark) {
        throw new Diverged("resumed at a revision or a mark that was not asked for");
      }
      this.#saved = Math.max(this.#saved, welcome.saved);
      // An ordered push stays in flight: its updates follow.
      if (welcome.inflight === "void") this.#flight = null;
    }
    if (flight?.blame && welcome.inflight === "void") this.#replica.reject(flight.blame);
  }

  /** U1 to U3. */
  updates(message: Updates): void {
    const at = this.#here();
    if (message.revision !== at.revision + 1) {
      throw new Gap(`revision ${message.revision} after ${at.revision}`);
    }
    const received = message.updates.map(([client, seq, changes]) => {
      const own = client === this.#client && seq === this.#flight?.seq;
      return { changes, own };
    });
    // A push comes back whole and in one message, or not at all.
    const own = received.filter((update) => update.own).length;
    if (own > 0 && own !== this.#flight?.count) throw new Diverged("not what was pushed came back");

    this.#replica.receive(received);
    this.#at = { revision: at.revision + received.length, mark: message.mark };
    if (own > 0) {
      this.#flight = null;
      this.#own = at.revision + received.findLastIndex((update) => update.own) + 1;
    }
  }

  /** U5, U6. */
  beat(beat: Beat): void {
    const at = this.#here();
    if (beat.revision !== at.revision || beat.mark !== at.mark) {
      throw new Gap(`the beat is at ${beat.revision}, this client at ${at.revision}`);
    }
    this.saveUpTo(beat.saved);
    if (beat.crc !== null && beat.crc !== crc32(this.#replica.text())) {
      throw new Diverged("the text is not the server's");
    }
  }

  /** S1. */
  saveUpTo(revision: number): void {
    this.#saved = Math.max(this.#saved, revision);
  }

  /** P1. The caller sends what is returned, now or never. */
  push(updates: readonly Changes[]): ClientMessage {
    if (this.#flight) throw new Error("a push is in flight already");
    const at = this.#here();
    const seq = ++this.#seq;
    this.#flight = { seq, count: updates.length, blame: null };
    return { type: "push", revision: at.revision, seq, updates };
  }

  /** P5. The push is settled: it is not and will not be in the history. */
  refused(refused: Refused): "final" | "transient" {
    if (this.#flight?.seq !== refused.seq) throw new Gap("refused what is not in flight");
    this.#flight = null;
    if (mayPass(refused)) return "transient";
    this.#replica.reject({ code: refused.code, message: refused.message });
    return "final";
  }

  /** The server closed the session with `code` over the push in flight, and would again. */
  blame(code: number): void {
    if (!this.#flight) return;
    const name = code === 1009 ? "too_large" : "invalid_change";
    this.#flight.blame = { code: name, message: `the server closed with ${code}` };
  }

  #here(): { revision: number; mark: string } {
    if (!this.#at) throw new Error("no welcome yet");
    return this.#at;
  }
}

/** A code from a later version counts as passing only if the server says when to try again. */
function mayPass(refused: Refused): boolean {
  switch (refused.code) {
    case "stale":
    case "rate_limited":
    case "unavailable":
      return true;
    case "invalid_change":
    case "forbidden":
    case "too_large":
    case "document_full":
      return false;
    default:
      return refused.retry_after_ms !== null;
  }
}

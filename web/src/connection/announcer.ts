import { sameRanges } from "./peers.ts";
import { clamp, mapPosition, mapRange, type Range } from "./positions.ts";
import type { ClientMessage, Limits, Updates } from "./wire.ts";

/** The server carries the ranges of one who does not move only so far: said again before that. */
const SAY_AGAIN_AFTER_REVISIONS = 500;

/**
 * Tells the others where this client's cursors are: only the latest, only what they do not know,
 * and no more often than the limits say (A1). What is to be told outlives sessions.
 */
export class Announcer {
  /** In the text of `#revision`; `null`: nothing was ever to be told. */
  #wanted: readonly Range[] | null = null;
  /** What was said in this session, as the others have it by now. */
  #said: readonly Range[] | null = null;
  #said_at = 0;
  #revision = 0;
  #from_ms = 0;

  /** A session begins: nobody knows anything yet. */
  begin(revision: number, length: number): void {
    this.#revision = revision;
    this.#said = null;
    this.#wanted = this.#wanted?.map((range) => clamp(range, length)) ?? null;
  }

  want(ranges: readonly Range[]): void {
    this.#wanted = ranges;
  }

  /** Carries what was said, and what is to be said, over updates, as everybody else does. */
  follow({ updates }: Updates, me: string): void {
    for (const [author, , changes] of updates) {
      const typed = author === me;
      const carry = (range: Range) =>
        mapRange(range, (at, side) => mapPosition(changes, at, side), typed);
      this.#revision++;
      this.#wanted = this.#wanted?.map(carry) ?? null;
      // Not everybody knows that one's own text takes one's cursor along: better said again.
      this.#said = typed ? null : (this.#said?.map(carry) ?? null);
    }
  }

  /** There is something that the others do not know. */
  get due(): boolean {
    if (!this.#wanted) return false;
    const old = this.#revision - this.#said_at > SAY_AGAIN_AFTER_REVISIONS;
    return !this.#said || old || !sameRanges(this.#wanted, this.#said);
  }

  /** How long to wait yet; 0: not at all. */
  left_ms(now_ms: number): number {
    return Math.max(0, this.#from_ms - now_ms);
  }

  /** What the caller sends now. */
  say(now_ms: number, limits: Limits): ClientMessage {
    const all = this.#wanted ?? [];
    this.#wanted = all.slice(0, limits.max_ranges);
    this.#said = this.#wanted;
    this.#said_at = this.#revision;
    this.#from_ms = now_ms + 1000 / limits.presence_hz;
    return { type: "presence", revision: this.#revision, ranges: this.#wanted };
  }
}

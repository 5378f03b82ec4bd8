import type { Changes } from "./wire.ts";

/** One ordered update. An own one confirms the first of the unconfirmed changes (U3). */
export interface Received {
  readonly changes: Changes;
  readonly own: boolean;
}

/**
 * The editor's side of a document, as the connection needs it: a confirmed text, which ordered
 * updates move, and the changes of this editor that are not confirmed, in order.
 *
 * A method that throws leaves the replica as it was, and says that it cannot follow the history any
 * more; the connection then starts fresh, which ends in {@link Replica.start}.
 */
export interface Replica {
  /**
   * The text begins anew (H4, H6). The first `confirmed` of the unconfirmed changes are part of
   * the new text already (H7); the rest is to be carried over to it.
   */
  start(text: string, confirmed: number): void;
  /** The next updates, to be applied one at a time (T8). */
  receive(updates: readonly Received[]): void;
  /** Nothing is in flight, and a push may be sent. */
  ready(): void;
  /** The push was refused for good (P5): give up what is not confirmed, and tell the person. */
  reject(rejection: Rejection): void;
  /** The confirmed text in pieces, for its checksum (U6). */
  text(): Iterable<string>;
}

/** The code of what the server did not refuse, and never will take: it does not let one in. */
export const ACCESS_LOST = "access_lost";

export interface Rejection {
  readonly code: string;
  readonly message: string;
}

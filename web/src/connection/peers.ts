import { clamp, growth, mapPosition, mapRange, type Range } from "./positions.ts";
import type { PeerPresence, Presence, Updates } from "./wire.ts";

/** Somebody else who has the document open. */
export interface Peer {
  /** The public name of the peer's client: a person may have several. */
  readonly client: string;
  readonly name: string;
  /** `#rrggbb`. */
  readonly color: string;
  /** In the confirmed text, as this client has it. Empty: present, without a cursor. */
  readonly ranges: readonly Range[];
}

interface Entry {
  peer: Peer;
  /** Ranges of a revision that this client has not reached yet (A1). */
  ahead: { readonly revision: number; readonly ranges: readonly Range[] } | null;
}

const NOBODY: readonly Peer[] = [];

/** Who else is here, and where their cursors are (A1, A2). It lasts as long as a session. */
export class Peers {
  #me = "";
  #revision = 0;
  #length = 0;
  #entries = new Map<string, Entry>();
  #list: readonly Peer[] | null = null;

  /** The same list until something in it changes. */
  get list(): readonly Peer[] {
    if (this.#entries.size === 0) return NOBODY;
    this.#list ??= [...this.#entries.values()].map(({ peer }) => peer);
    return this.#list;
  }

  /** A welcome brings all of them anew. `length` is that of the text at `revision`. */
  begin(me: string, revision: number, length: number, peers: readonly PeerPresence[]): void {
    this.end();
    this.#me = me;
    this.#revision = revision;
    this.#length = length;
    for (const peer of peers) this.#hear(peer);
  }

  end(): void {
    this.#entries.clear();
    this.#list = null;
  }

  hear({ peers, left }: Presence): void {
    for (const client of left) this.#entries.delete(client);
    for (const peer of peers) this.#hear(peer);
    this.#list = null;
  }

  /** Carries all ranges over updates, and takes in those that were waiting for them. */
  follow({ updates }: Updates): void {
    for (const [author, , changes] of updates) {
      this.#revision++;
      this.#length += growth(changes);
      for (const entry of this.#entries.values()) {
        this.#move(entry, (range) =>
          mapRange(
            range,
            (at, side) => mapPosition(changes, at, side),
            author === entry.peer.client,
          ),
        );
        if (entry.ahead?.revision === this.#revision) this.#arrive(entry, entry.ahead.ranges);
      }
    }
  }

  /** The server carries positions forward itself: none is from before this client's revision. */
  #hear({ client, name, color, revision, ranges }: PeerPresence): void {
    if (client === this.#me) return;
    const former = this.#entries.get(client)?.peer.ranges ?? [];
    const entry: Entry = { peer: { client, name, color, ranges: former }, ahead: null };
    this.#entries.set(client, entry);
    if (revision > this.#revision) entry.ahead = { revision, ranges };
    else this.#arrive(entry, ranges);
    this.#list = null;
  }

  #arrive(entry: Entry, ranges: readonly Range[]): void {
    entry.ahead = null;
    entry.peer = { ...entry.peer, ranges };
    this.#move(entry, (range) => clamp(range, this.#length));
    this.#list = null;
  }

  #move(entry: Entry, map: (range: Range) => Range): void {
    const { peer } = entry;
    const ranges = peer.ranges.map(map);
    if (sameRanges(ranges, peer.ranges)) return;
    entry.peer = { ...peer, ranges };
    this.#list = null;
  }
}

export function sameRanges(some: readonly Range[], others: readonly Range[]): boolean {
  return (
    some.length === others.length &&
    some.every(([anchor, head], i) => others[i]?.[0] === anchor && others[i]?.[1] === head)
  );
}

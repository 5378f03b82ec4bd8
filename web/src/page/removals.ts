/** How long a deletion can be taken back. */
export const UNDO_MS = 6_000;

export interface RemovalEvents<Item> {
  /** It is not to be seen any more, or again. */
  changed(): void;
  /** The server deleted it. */
  done(item: Item): void;
  /** The server did not: it is there again. */
  failed(item: Item, error: unknown): void;
}

interface Removal<Item> {
  readonly item: Item;
  /** `undefined` while it is held; see `hold`. */
  timer: ReturnType<typeof setTimeout> | undefined;
  sent: boolean;
}

/**
 * Deletions that can be taken back for a while.
 *
 * The law: what is removed is sent to the server exactly once, unless it is undone before.
 */
export class Removals<Item extends { readonly id: string }> {
  readonly #send: (id: string, leaving: boolean) => Promise<void>;
  readonly #events: RemovalEvents<Item>;
  readonly #removals = new Map<string, Removal<Item>>();

  constructor(send: (id: string, leaving: boolean) => Promise<void>, events: RemovalEvents<Item>) {
    this.#send = send;
    this.#events = events;
  }

  /** It is removed, or about to be. */
  has(id: string): boolean {
    return this.#removals.has(id);
  }

  /** It can still be taken back. */
  undoable(id: string): boolean {
    return this.#removals.get(id)?.sent === false;
  }

  remove(item: Item): void {
    if (this.has(item.id)) return;
    this.#removals.set(item.id, { item, timer: this.#later(item.id), sent: false });
    this.#events.changed();
  }

  /** False if it is too late. */
  undo(id: string): boolean {
    if (!this.undoable(id)) return false;
    this.hold(id);
    this.#removals.delete(id);
    this.#events.changed();
    return true;
  }

  /** Whoever has the pointer or the focus on "Undo" is given time. */
  hold(id: string): void {
    clearTimeout(this.#removals.get(id)?.timer);
  }

  release(id: string): void {
    const removal = this.#removals.get(id);
    if (!removal || removal.sent) return;
    clearTimeout(removal.timer);
    removal.timer = this.#later(id);
  }

  /** The page is left: what is removed is sent now. */
  settle(): void {
    for (const id of this.#removals.keys()) void this.#commit(id, true);
  }

  #later(id: string): ReturnType<typeof setTimeout> {
    return setTimeout(() => void this.#commit(id, false), UNDO_MS);
  }

  async #commit(id: string, leaving: boolean): Promise<void> {
    const removal = this.#removals.get(id);
    if (!removal || removal.sent) return;
    clearTimeout(removal.timer);
    removal.sent = true;
    this.#events.changed();
    try {
      await this.#send(id, leaving);
      this.#events.done(removal.item);
      this.#removals.delete(id);
    } catch (error) {
      this.#removals.delete(id);
      this.#events.failed(removal.item, error);
    }
    this.#events.changed();
  }
}

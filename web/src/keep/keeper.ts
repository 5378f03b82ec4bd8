import {
  type Cancel,
  type Changes,
  type Environment,
  type Memory,
  platform,
} from "../connection/index.ts";
import type { Kept, Release, Store } from "./store.ts";

/** The editor whose unsent text is kept. What it gives belongs together, at any one time. */
export interface Source {
  readonly memory: Memory;
  readonly unsent: readonly Changes[];
  /** The confirmed text. */
  text(): Iterable<string>;
  /** Changes when something was typed, sent or confirmed: not with every update of others. */
  readonly stamp: readonly unknown[];
  /** Nothing is unsent or in flight, and all of it is saved. */
  readonly settled: boolean;
}

export type KeeperClock = Pick<Environment, "schedule">;

/** How long a record stays when all is settled: most who type go on typing. */
const LINGER_MS = 3_000;
/** How long a push waits for a store that does not answer. */
const PATIENCE_MS = 2_000;
/** How many updates a record's text may be behind before it is written anew. */
const MAX_JOURNAL = 1_000;

/**
 * Keeps one editor's unsent text: writes it down when it changes, and before a push of it leaves.
 *
 * What is written may be older than the editor, but is always something to go on from: nothing was
 * sent since that it does not name. A store that fails is no reason to stop: the editor goes on
 * without, and `working` says so.
 */
export class Keeper {
  /** What was left behind under this name, for the editor to begin from. */
  readonly kept: Kept | null;
  readonly #store: Store;
  readonly #name: string;
  readonly #shelf: string;
  readonly #release: Release;
  readonly #clock: KeeperClock;
  #source: Source | null = null;
  #told: () => void = () => {};
  #working = true;
  /** There is a record. */
  #written: boolean;
  /** Its stamp, or that of what is being written. */
  #stamp: readonly unknown[] = [];
  /** What the record's text and journal do not have yet; `null`: the text is to be written. */
  #journal: Changes[] | null;
  #journaled = 0;
  #running: Promise<void> | null = null;
  #next: Promise<void> | null = null;
  #removal: Cancel | null = null;
  /** The record is to be removed, if all is settled by then. */
  #leaving = false;
  #closed = false;

  constructor(
    store: Store,
    name: string,
    shelf: string,
    release: Release,
    kept: Kept | null,
    clock: KeeperClock = platform,
  ) {
    this.#store = store;
    this.#name = name;
    this.#shelf = shelf;
    this.#release = release;
    this.#clock = clock;
    this.kept = kept;
    this.#written = kept !== null;
    this.#journal = kept ? [] : null;
  }

  /** What is typed outlives this page. */
  get working(): boolean {
    return this.#working;
  }

  /** Keeps this one from now on. `told` hears when `working` has changed. */
  attach(source: Source, told: () => void): void {
    this.#source = source;
    this.#told = told;
    this.#stamp = source.stamp;
  }

  /** The confirmed text has moved on. */
  followed(updates: readonly Changes[]): void {
    this.#journal?.push(...updates);
    if (this.#journal && this.#journal.length + this.#journaled > MAX_JOURNAL) this.restarted();
  }

  /** The confirmed text is another one. */
  restarted(): void {
    this.#journal = null;
  }

  /** The editor may have changed. */
  changed(): void {
    const source = this.#source;
    if (!source || this.#closed) return;
    if (!source.settled) this.#stay();
    else if (this.#written) this.#removal ??= this.#clock.schedule(LINGER_MS, () => this.#leave());
    if (!same(source.stamp, this.#stamp) && (this.#written || !source.settled)) void this.#save();
  }

  /** Resolves when the editor as it is now is kept, or cannot be. */
  async saved(): Promise<void> {
    const saving = this.#save();
    if (this.#working) await this.#patiently(saving);
  }

  /** Ends, and leaves what is not settled to whoever comes next. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#stay();
    this.#closed = true;
    if (this.#written) {
      this.#leaving = true;
      await this.#patiently(this.#save());
    }
    this.#release();
  }

  #stay(): void {
    this.#removal?.();
    this.#removal = null;
    this.#leaving = false;
  }

  #leave(): void {
    this.#removal = null;
    this.#leaving = true;
    void this.#save();
  }

  /** One at a time: what begins later takes the editor as it is then. */
  #save(): Promise<void> {
    if (!this.#running) {
      const step = this.#leaving && this.#source?.settled ? this.#erase() : this.#write();
      this.#running = step.finally(() => {
        this.#running = null;
      });
      return this.#running;
    }
    this.#next ??= this.#running.then(() => {
      this.#next = null;
      return this.#save();
    });
    return this.#next;
  }

  async #write(): Promise<void> {
    const source = this.#source;
    if (!source) return;
    const journal = this.#journal;
    this.#stamp = source.stamp;
    this.#journal = [];
    this.#journaled = journal ? this.#journaled + journal.length : 0;
    this.#written = true;
    try {
      await this.#store.write(this.#name, this.#shelf, {
        text: journal ? null : [...source.text()].join(""),
        journal: journal ?? [],
        memory: source.memory,
        unsent: source.unsent,
      });
      this.#work(true);
    } catch {
      this.#journal = null;
      this.#work(false);
      // What is sent from now on is not in the old record: it would be sent again after a reload.
      await this.#store.remove(this.#name).catch(() => {});
    }
  }

  async #erase(): Promise<void> {
    this.#journal = null;
    this.#written = false;
    try {
      await this.#store.remove(this.#name);
    } catch {
      this.#work(false);
    }
  }

  /** A store that does not answer holds nobody up for long, and not twice. */
  async #patiently(saving: Promise<void>): Promise<void> {
    let cancel: Cancel = () => {};
    const late = new Promise<void>((resolve) => {
      cancel = this.#clock.schedule(PATIENCE_MS, () => {
        this.#work(false);
        resolve();
      });
    });
    await Promise.race([saving, late]);
    cancel();
  }

  #work(working: boolean): void {
    if (this.#working === working) return;
    this.#working = working;
    this.#told();
  }
}

function same(some: readonly unknown[], others: readonly unknown[]): boolean {
  return some.length === others.length && some.every((one, i) => one === others[i]);
}

import type { Changes, Memory } from "../connection/index.ts";

/** All that an editor needs to go on where another one was. */
export interface Kept {
  readonly memory: Memory;
  /** The confirmed text at `memory.at`. */
  readonly text: string;
  /** What was typed and is not confirmed, in order. */
  readonly unsent: readonly Changes[];
}

/** What is new of a record. It comes into it whole or not at all. */
export interface Entry {
  /** The confirmed text, where it is written anew; else the one that is there goes on. */
  readonly text: string | null;
  /** What made the confirmed text of the one that is there. */
  readonly journal: readonly Changes[];
  readonly memory: Memory;
  readonly unsent: readonly Changes[];
}

/**
 * Records, one for each editor that has something unsent. Every record has a name of its own and a
 * shelf: whose it is, and of which document.
 */
export interface Store {
  /** The names of a shelf's records, in their order. */
  names(shelf: string): Promise<readonly string[]>;
  read(name: string): Promise<Kept | null>;
  /** Resolves when a reload finds it. Writes to one record come one after the other. */
  write(name: string, shelf: string, entry: Entry): Promise<void>;
  remove(name: string): Promise<void>;
}

/** Who lives: a record whose lock is free was left behind. */
export interface Locks {
  /** Takes the lock of that name, if nobody has it. It is free again when its page is gone. */
  take(name: string): Promise<Release | null>;
}

export type Release = () => void;

export interface Keep {
  readonly store: Store;
  readonly locks: Locks;
}

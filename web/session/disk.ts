import type { Changes, Environment } from "../src/connection/index.ts";
import type { Entry, Keep, Locks, Store } from "../src/keep/index.ts";
import type { Random } from "./random.ts";
import { countTokens } from "./typist.ts";

/** What a write takes at most. */
const WRITE_MS = 30;

/**
 * One tab's way to what its browser keeps. It takes a while; and when the tab is gone, a write
 * that was on its way is done or not, nothing more of it comes, and its locks are free.
 */
export class Disk implements Store, Locks {
  readonly keep: Keep = { store: this, locks: this };
  readonly #browser: Keep;
  readonly #environment: Environment;
  readonly #random: Random;
  /** Everything that was ever written. */
  readonly #written: Set<string>;
  readonly #pending = new Set<() => void>();
  #gone = false;
  readonly #held: (() => void)[] = [];

  constructor(browser: Keep, environment: Environment, random: Random, written: Set<string>) {
    this.#browser = browser;
    this.#environment = environment;
    this.#random = random;
    this.#written = written;
  }

  names(shelf: string) {
    return this.#browser.store.names(shelf);
  }

  read(name: string) {
    return this.#browser.store.read(name);
  }

  write(name: string, shelf: string, entry: Entry): Promise<void> {
    return this.#do(() => {
      for (const inserted of entry.unsent.flatMap(insertions)) {
        for (const token of countTokens(inserted).keys()) this.#written.add(token);
      }
      return this.#browser.store.write(name, shelf, entry);
    });
  }

  remove(name: string): Promise<void> {
    return this.#do(() => this.#browser.store.remove(name));
  }

  async take(name: string) {
    const release = await this.#browser.locks.take(name);
    if (release) this.#held.push(release);
    return release;
  }

  /** The tab is gone. What is returned frees its locks. */
  end(): () => void {
    for (const act of this.#pending) if (this.#random.chance(50)) act();
    this.#gone = true;
    return () => {
      for (const release of this.#held.splice(0)) release();
    };
  }

  #do(action: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#gone) return;
      const act = () => {
        this.#pending.delete(act);
        action().then(resolve, reject);
      };
      this.#pending.add(act);
      this.#environment.schedule(this.#random.below(WRITE_MS), () => {
        if (!this.#gone) act();
      });
    });
  }
}

function insertions(changes: Changes): string[] {
  return changes.flatMap((section) =>
    typeof section === "number" ? [] : section.slice(1).join("\n"),
  );
}

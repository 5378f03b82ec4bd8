import type { Changes } from "../connection/index.ts";
import type { Entry, Kept, Locks, Release, Store } from "./store.ts";
import { replay } from "./text.ts";

interface Row {
  readonly shelf: string;
  readonly text: string;
  readonly journal: readonly Changes[];
  readonly entry: Entry;
}

/** A store that lasts as long as it is held. As JSON, so that nothing in it is shared. */
export class MemoryStore implements Store {
  readonly #rows = new Map<string, Row>();

  async names(shelf: string): Promise<readonly string[]> {
    return [...this.#rows]
      .filter(([, row]) => row.shelf === shelf)
      .map(([name]) => name)
      .sort();
  }

  async read(name: string): Promise<Kept | null> {
    const row = this.#rows.get(name);
    if (!row) return null;
    const { memory, unsent } = row.entry;
    return { memory, unsent, text: replay(row.text, row.journal) };
  }

  async write(name: string, shelf: string, given: Entry): Promise<void> {
    const entry = JSON.parse(JSON.stringify(given)) as Entry;
    const former = this.#rows.get(name);
    if (entry.text === null && !former) throw new Error("no text to go on from");
    const text = entry.text ?? former?.text ?? "";
    const journal = entry.text === null ? [...(former?.journal ?? []), ...entry.journal] : [];
    this.#rows.set(name, { shelf, text, journal, entry });
  }

  async remove(name: string): Promise<void> {
    this.#rows.delete(name);
  }
}

export class MemoryLocks implements Locks {
  readonly #taken = new Map<string, Release>();

  async take(name: string): Promise<Release | null> {
    if (this.#taken.has(name)) return null;
    const release = () => {
      if (this.#taken.get(name) === release) this.#taken.delete(name);
    };
    this.#taken.set(name, release);
    return release;
  }
}

import type { Changes, Memory } from "../connection/index.ts";
import type { Entry, Keep, Kept, Locks, Store } from "./store.ts";
import { replay } from "./text.ts";

/** This browser's, or `null` where it has none: both need a page served by https or localhost. */
export function browserKeep(): Keep | null {
  if (!globalThis.indexedDB || !globalThis.navigator?.locks) return null;
  return { store: new IndexedStore(indexedDB), locks: webLocks };
}

const DATABASE = "collab.unsent";

/** What is small and changes with each key pressed. */
interface Head {
  readonly name: string;
  readonly shelf: string;
  readonly memory: Memory;
  readonly unsent: readonly Changes[];
}

/** `texts` by name; `journal` by name and the revision that it leads to. */
const HEADS = "heads";
const TEXTS = "texts";
const JOURNAL = "journal";
const ALL = [HEADS, TEXTS, JOURNAL];

export class IndexedStore implements Store {
  readonly #factory: IDBFactory;
  #opening: Promise<IDBDatabase> | null = null;

  constructor(factory: IDBFactory) {
    this.#factory = factory;
  }

  async names(shelf: string): Promise<readonly string[]> {
    const heads = (await this.#begin("readonly")).objectStore(HEADS).index("shelf");
    return (await result(heads.getAllKeys(shelf))).map(String).sort();
  }

  async read(name: string): Promise<Kept | null> {
    const transaction = await this.#begin("readonly");
    const [head, text, journal] = await Promise.all([
      result<Head | undefined>(transaction.objectStore(HEADS).get(name)),
      result<string | undefined>(transaction.objectStore(TEXTS).get(name)),
      result<Changes[][]>(transaction.objectStore(JOURNAL).getAll(rowsOf(name))),
    ]);
    if (!head || text === undefined) return null;
    return { memory: head.memory, unsent: head.unsent, text: replay(text, journal.flat()) };
  }

  async write(name: string, shelf: string, entry: Entry): Promise<void> {
    const transaction = await this.#begin("readwrite");
    const { memory, unsent, text, journal } = entry;
    const head: Head = { name, shelf, memory, unsent };
    transaction.objectStore(HEADS).put(head);
    if (text !== null) {
      transaction.objectStore(TEXTS).put(text, name);
      transaction.objectStore(JOURNAL).delete(rowsOf(name));
    } else if (journal.length > 0) {
      transaction.objectStore(JOURNAL).put(journal, [name, memory.at?.revision ?? 0]);
    }
    await done(transaction);
  }

  async remove(name: string): Promise<void> {
    const transaction = await this.#begin("readwrite");
    transaction.objectStore(HEADS).delete(name);
    transaction.objectStore(TEXTS).delete(name);
    transaction.objectStore(JOURNAL).delete(rowsOf(name));
    await done(transaction);
  }

  async #begin(mode: IDBTransactionMode): Promise<IDBTransaction> {
    this.#opening ??= this.#open();
    try {
      return (await this.#opening).transaction(ALL, mode);
    } catch (error) {
      this.#opening = null; // closed by the browser, or by a newer version of this page
      throw error;
    }
  }

  async #open(): Promise<IDBDatabase> {
    const request = this.#factory.open(DATABASE, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(HEADS, { keyPath: "name" }).createIndex("shelf", "shelf");
      request.result.createObjectStore(TEXTS);
      request.result.createObjectStore(JOURNAL);
    };
    const database = await result(request);
    database.onversionchange = () => database.close();
    return database;
  }
}

function rowsOf(name: string): IDBKeyRange {
  return IDBKeyRange.bound([name], [name, []]);
}

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Without more requests, it need not wait for this page, which may be about to go. */
function done(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
    transaction.commit();
  });
}

/** A lock is held by a promise that is not resolved. */
const webLocks: Locks = {
  take: (name) =>
    new Promise((resolve, reject) => {
      navigator.locks
        .request(`${DATABASE}/${name}`, { ifAvailable: true }, (lock) => {
          if (!lock) return resolve(null);
          return new Promise<void>((release) => resolve(release));
        })
        .catch(reject);
    }),
};

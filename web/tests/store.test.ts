import { IDBFactory, IDBKeyRange } from "fake-indexeddb";
import { beforeAll, expect, test, vi } from "vitest";
import type { Changes, Memory } from "../src/connection/index.ts";
import { IndexedStore } from "../src/keep/browser.ts";
import { MemoryStore, type Store } from "../src/keep/index.ts";

beforeAll(() => {
  vi.stubGlobal("IDBKeyRange", IDBKeyRange);
});

/** One contract, two stores. */
const STORES: [string, () => Store][] = [
  ["in memory", () => new MemoryStore()],
  ["in IndexedDB", () => new IndexedStore(new IDBFactory())],
];

function memory(revision: number): Memory {
  const at = { revision, mark: `m${revision}` };
  return { client: "c", at, seq: 1, flight: null, saved: 0, own: 0 };
}

function entry(revision: number, text: string | null, ...journal: Changes[]) {
  return { memory: memory(revision), text, journal, unsent: [[1, [0, "x"]]] as Changes[] };
}

test.each(STORES)("%s: what is written is found, by its name and on its shelf", async (_, open) => {
  const store = open();
  await store.write("b", "shelf", entry(1, "one\ntwo"));
  await store.write("a", "shelf", entry(1, ""));
  await store.write("c", "another", entry(1, ""));
  expect(await store.names("shelf")).toEqual(["a", "b"]);
  expect(await store.read("b")).toEqual({
    memory: memory(1),
    text: "one\ntwo",
    unsent: [[1, [0, "x"]]],
  });
  expect(await store.read("d")).toBeNull();
});

test.each(STORES)(
  "%s: a text goes on by its journal, until it is written anew",
  async (_, open) => {
    const store = open();
    await store.write("a", "shelf", entry(1, "ab"));
    await store.write("a", "shelf", entry(3, null, [1, [0, "x"], 1], [3, [0, "y"]]));
    await store.write("a", "shelf", entry(3, null));
    await store.write("a", "shelf", entry(12, null, [[4, "z"]]));
    expect(await store.read("a")).toMatchObject({ text: "z", memory: { at: { revision: 12 } } });
    await store.write("a", "shelf", entry(2, "anew"));
    expect(await store.read("a")).toMatchObject({ text: "anew", memory: { at: { revision: 2 } } });
  },
);

test.each(STORES)("%s: what is removed is gone, and nothing else", async (_, open) => {
  const store = open();
  await store.write("a", "shelf", entry(1, "a"));
  await store.write("a", "shelf", entry(2, null, [1, [0, "x"]]));
  await store.write("ab", "shelf", entry(1, "ab"));
  await store.remove("a");
  await store.remove("never there");
  expect(await store.names("shelf")).toEqual(["ab"]);
  expect(await store.read("a")).toBeNull();
  expect(await store.read("ab")).toMatchObject({ text: "ab" });
});

test("in IndexedDB: another page finds it, and a database that was closed is opened again", async () => {
  const factory = new IDBFactory();
  const one = new IndexedStore(factory);
  await one.write("a", "shelf", entry(1, "a"));
  expect(await new IndexedStore(factory).names("shelf")).toEqual(["a"]);
  await new Promise((resolve) => {
    factory.deleteDatabase("collab.unsent").onsuccess = resolve;
  });
  await expect(one.write("a", "shelf", entry(2, null))).rejects.toThrow();
  await one.write("a", "shelf", entry(2, "b"));
  expect(await one.read("a")).toMatchObject({ text: "b" });
});

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { DocumentSummary, Page, Wanted } from "../src/page/documents.ts";
import { Listing } from "../src/page/listing.ts";

interface Asked extends Wanted {
  answer(ids: string, next?: string): Promise<void>;
  fail(): Promise<void>;
}

let asked: Asked[];
let listing: Listing;

beforeEach(() => {
  vi.useFakeTimers();
  asked = [];
  listing = new Listing(
    (wanted) =>
      new Promise<Page>((resolve, reject) => {
        asked.push({
          ...wanted,
          answer: (ids, next) => {
            resolve({ items: [...ids].map(named), next: next ?? null });
            return vi.advanceTimersByTimeAsync(0).then(() => {});
          },
          fail: () => {
            reject(new Error("down"));
            return vi.advanceTimersByTimeAsync(0).then(() => {});
          },
        });
      }),
    () => {},
  );
});

afterEach(() => vi.useRealTimers());

function named(id: string): DocumentSummary {
  const owner = { id: "u", name: "Ada" };
  return { id, title: id, role: "owner", owner, updated_at: "2026-01-01T00:00:00Z", editors: 0 };
}

function shown(): string {
  return listing.items.map(({ id }) => id).join("");
}

test("a list comes a page at a time, and says whether there is more", async () => {
  void listing.load();
  expect(listing.state.kind).toBe("loading");
  await asked[0]?.answer("abc", "cursor");
  expect(listing.state).toEqual({ kind: "ready", more: true });
  void listing.more();
  expect(asked[1]?.cursor).toBe("cursor");
  await asked[1]?.answer("de");
  expect(shown()).toBe("abcde");
  expect(listing.state).toEqual({ kind: "ready", more: false });
});

test("a document that moved between two pages while they were read is listed once", async () => {
  void listing.load();
  await asked[0]?.answer("abc", "cursor");
  void listing.more();
  await asked[1]?.answer("cd");
  expect(shown()).toBe("abcd");
});

test("typing is waited for, and asked for once", async () => {
  void listing.load();
  await asked[0]?.answer("ab");
  for (const query of ["c", "co", "col"]) {
    listing.search(query);
    await vi.advanceTimersByTimeAsync(50);
  }
  expect(asked.length).toBe(1);
  await vi.advanceTimersByTimeAsync(500);
  expect(asked.map(({ query }) => query)).toEqual(["", "col"]);
});

test("a slow answer to an older question is dropped", async () => {
  void listing.load();
  await asked[0]?.answer("abc");
  listing.search("a");
  await vi.advanceTimersByTimeAsync(500);
  listing.search("b");
  await vi.advanceTimersByTimeAsync(500);
  await asked[2]?.answer("b");
  await asked[1]?.answer("a");
  expect(shown()).toBe("b");
  expect(listing.state.kind).toBe("ready");
});

test("an answer that comes after the next key is dropped as well", async () => {
  void listing.load();
  listing.search("b");
  await asked[0]?.answer("abc");
  expect(shown()).toBe("");
});

test("another order begins from the first page, and drops a page that is on its way", async () => {
  void listing.load();
  await asked[0]?.answer("abc", "cursor");
  void listing.more();
  listing.sortBy("title");
  expect(asked[2]).toMatchObject({ sort: "title", cursor: null });
  await asked[2]?.answer("cba");
  await asked[1]?.answer("de");
  expect(shown()).toBe("cba");
});

test("a failure is told, and a new try makes it good; a failed refresh says nothing", async () => {
  void listing.load();
  await asked[0]?.fail();
  expect(listing.state.kind).toBe("failed");
  void listing.load();
  await asked[1]?.answer("a");
  void listing.refresh();
  await asked[2]?.fail();
  expect(listing.state.kind).toBe("ready");
  expect(shown()).toBe("a");
});

test("a refresh that was asked before a rename does not bring the old title back", async () => {
  void listing.load();
  await asked[0]?.answer("ab");
  void listing.refresh();
  listing.put({ ...named("a"), title: "new" });
  await asked[1]?.answer("ab");
  expect(listing.items[0]?.title).toBe("new");
});

test("nothing is asked, and no answer counts, once it is closed", async () => {
  void listing.load();
  listing.search("a");
  listing.close();
  await vi.advanceTimersByTimeAsync(1_000);
  await asked[0]?.answer("a");
  expect(asked.length).toBe(1);
  expect(shown()).toBe("");
});

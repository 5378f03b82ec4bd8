import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Removals, UNDO_MS } from "../src/page/removals.ts";

const item = { id: "a" };
let sent: [id: string, leaving: boolean][];
let down: boolean;
let told: string[];
let removals: Removals<{ id: string }>;

beforeEach(() => {
  vi.useFakeTimers();
  sent = [];
  told = [];
  down = false;
  removals = new Removals(
    async (id, leaving) => {
      sent.push([id, leaving]);
      if (down) throw new Error("down");
    },
    {
      changed: () => {},
      done: ({ id }) => told.push(`done ${id}`),
      failed: ({ id }) => told.push(`failed ${id}`),
    },
  );
});

afterEach(() => vi.useRealTimers());

test("what is removed is gone at once, and deleted when it cannot be undone any more", async () => {
  removals.remove(item);
  expect(removals.has("a")).toBe(true);
  await vi.advanceTimersByTimeAsync(UNDO_MS - 1);
  expect(sent).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(sent).toEqual([["a", false]]);
  expect(told).toEqual(["done a"]);
});

test("what is undone is there again, and never deleted", async () => {
  removals.remove(item);
  expect(removals.undo("a")).toBe(true);
  expect(removals.has("a")).toBe(false);
  await vi.advanceTimersByTimeAsync(UNDO_MS * 2);
  expect(sent).toEqual([]);
});

test("leaving the page deletes now, and only once", async () => {
  removals.remove(item);
  removals.settle();
  removals.settle();
  expect(sent).toEqual([["a", true]]);
  expect(removals.undo("a")).toBe(false);
  await vi.advanceTimersByTimeAsync(UNDO_MS * 2);
  expect(sent.length).toBe(1);
});

test("who is at the undo button has time", async () => {
  removals.remove(item);
  removals.hold("a");
  await vi.advanceTimersByTimeAsync(UNDO_MS * 3);
  expect(sent).toEqual([]);
  removals.release("a");
  await vi.advanceTimersByTimeAsync(UNDO_MS);
  expect(sent.length).toBe(1);
});

test("what the server did not delete is there again, and can be removed again", async () => {
  down = true;
  removals.remove(item);
  await vi.advanceTimersByTimeAsync(UNDO_MS);
  expect(told).toEqual(["failed a"]);
  expect(removals.has("a")).toBe(false);
  down = false;
  removals.remove(item);
  await vi.advanceTimersByTimeAsync(UNDO_MS);
  expect(told).toEqual(["failed a", "done a"]);
});

test("several are each on their own", async () => {
  removals.remove(item);
  await vi.advanceTimersByTimeAsync(UNDO_MS / 2);
  removals.remove({ id: "b" });
  await vi.advanceTimersByTimeAsync(UNDO_MS / 2);
  expect(sent.map(([id]) => id)).toEqual(["a"]);
  expect(removals.undoable("b")).toBe(true);
});

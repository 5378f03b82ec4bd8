import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Refusals } from "../src/page/refusals.ts";

let stored: Map<string, string>;
let full: boolean;

beforeEach(() => {
  stored = new Map();
  full = false;
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => stored.get(key) ?? null,
    removeItem: (key: string) => stored.delete(key),
    setItem: (key: string, value: string) => {
      if (full) throw new DOMException("full", "QuotaExceededError");
      stored.set(key, value);
    },
  });
});

afterEach(() => vi.unstubAllGlobals());

const refusal = { id: "1", code: "too_large", message: "too large", text: "mine" };

test("a refused text is there after a reload, for whoever wrote it, until it is seen to", () => {
  new Refusals("ada", "doc").add(refusal);
  expect(new Refusals("ada", "other").all).toEqual([]);
  const reloaded = new Refusals("ada", "doc");
  expect(reloaded.all).toEqual([refusal]);
  expect(new Refusals("bob", "doc").all).toEqual([]);
  reloaded.remove("1");
  expect(new Refusals("ada", "doc").all).toEqual([]);
  expect(stored.size).toBe(0);
});

test("where the browser keeps no more, the page has it still, and says that it does not last", () => {
  full = true;
  const refusals = new Refusals("ada", "doc");
  expect(refusals.add(refusal)).toBe(false);
  expect(refusals.all).toEqual([refusal]);
});

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Denied } from "../src/connection/index.ts";
import { Account } from "../src/page/account.ts";
import { stubStorage } from "./support/storage.ts";

const HOUR_MS = 3_600_000;
let stored: Map<string, string>;
let asked: string[];
let answers: Record<string, { status: number; expires_in_ms?: number }>;

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
  stored = stubStorage();
  asked = [];
  answers = {
    "/v1/auth/guest": { status: 200, expires_in_ms: HOUR_MS },
    "/v1/auth/refresh": { status: 200, expires_in_ms: HOUR_MS },
  };
  vi.stubGlobal("fetch", async (path: string) => {
    asked.push(path);
    const { status, expires_in_ms = 0 } = answers[path] ?? { status: 404 };
    const expires_at = new Date(Date.now() + expires_in_ms).toISOString();
    return Response.json({ token: `token ${asked.length}`, expires_at }, { status });
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("a guest's token is asked for once, whoever needs it, and remembered", async () => {
  const account = guest();
  const all = await Promise.all([account.current(), account.current()]);
  expect([...all, await new Account().current()]).toEqual(["token 1", "token 1", "token 1"]);
  expect(asked).toEqual(["/v1/auth/guest"]);
});

test("a token that runs out is refreshed, and the guest stays the same", async () => {
  const account = guest();
  await account.current();
  vi.setSystemTime(HOUR_MS - 30_000);
  expect(account.expiring).toBe(true);
  expect(await account.current()).toBe("token 2");
  expect(asked).toEqual(["/v1/auth/guest", "/v1/auth/refresh"]);
});

test("a token that cannot be refreshed any more gives way to a new guest", async () => {
  const account = guest();
  await account.current();
  answers["/v1/auth/refresh"] = { status: 401 };
  expect(await account.renewed()).toBe("token 3");
  expect(asked.at(-1)).toBe("/v1/auth/guest");
});

test("a server without guests denies; one that is down does not", async () => {
  const account = guest();
  answers["/v1/auth/guest"] = { status: 403 };
  await expect(account.current()).rejects.toBeInstanceOf(Denied);
  answers["/v1/auth/guest"] = { status: 503 };
  await expect(account.current()).rejects.not.toBeInstanceOf(Denied);
});

test("what is stored and cannot be read counts as nothing", async () => {
  stored.set("collab.token", "{");
  expect(await guest().current()).toBe("token 1");
});

test("nobody becomes a guest without having said so", async () => {
  await expect(new Account().current()).rejects.toBeInstanceOf(Denied);
  expect(asked).toEqual([]);
});

function guest(): Account {
  const account = new Account();
  account.introduce("Ada");
  return account;
}

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Account } from "../src/page/account.ts";

let stored: Map<string, string>;
let asked: [method: string, path: string, body: string | undefined][];
let answers: Record<string, { status: number; body: object }>;

const token = { token: "t", expires_at: "2999-01-01T00:00:00Z" };

beforeEach(() => {
  stored = new Map();
  asked = [];
  answers = {
    "POST /v1/auth/guest": { status: 200, body: { ...token, user: { id: "u1" } } },
    "POST /v1/auth/refresh": { status: 200, body: token },
  };
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => stored.set(key, value),
  });
  vi.stubGlobal("fetch", async (path: string, init: { method?: string; body?: string }) => {
    const method = init.method ?? "GET";
    asked.push([method, path, init.body]);
    const { status, body } = answers[`${method} ${path}`] ?? { status: 405, body: {} };
    return Response.json(body, { status });
  });
});

afterEach(() => vi.unstubAllGlobals());

test("the name that a person says goes into the guest's token, and is remembered", async () => {
  const account = new Account();
  expect(account.introduced).toBe(false);
  account.introduce("Ada");
  await account.current();
  expect(asked).toEqual([["POST", "/v1/auth/guest", '{"name":"Ada"}']]);
  expect([new Account().introduced, new Account().name]).toEqual([true, "Ada"]);
});

test("who says no name is a guest, and is not asked again", () => {
  new Account().introduce("");
  expect([new Account().introduced, new Account().name]).toEqual([true, "Guest"]);
});

test("the person's ID is known from the token's answer, or asked for", async () => {
  const account = new Account();
  expect(await account.user()).toBe("u1");
  stored.delete("collab.user");
  answers["GET /v1/me"] = { status: 200, body: { id: "u2" } };
  expect(await account.user()).toBe("u2");
});

test("a server that cannot change a name says so, and nothing changes", async () => {
  const account = new Account();
  account.introduce("Ada");
  expect(await account.rename("Countess")).toBe(false);
  expect(account.name).toBe("Ada");
});

test("with another name there is another token, for the same person", async () => {
  const account = new Account();
  account.introduce("Ada");
  await account.current();
  answers["PATCH /v1/me"] = { status: 200, body: { ...token, token: "t2", user: { id: "u1" } } };
  expect(await account.rename("Countess")).toBe(true);
  expect([account.name, await account.current()]).toEqual(["Countess", "t2"]);
});

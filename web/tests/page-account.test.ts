import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Denied } from "../src/connection/index.ts";
import { Account } from "../src/page/account.ts";
import { Problem } from "../src/page/rest.ts";
import { stubStorage } from "./support/storage.ts";

type Asked = [method: string, path: string, body: string | undefined, bearer?: string];

let stored: Map<string, string>;
let asked: Asked[];
let answers: Record<string, { status: number; body: object }>;

const token = { token: "t", expires_at: "2999-01-01T00:00:00Z" };
const guest = { id: "u1", name: "Ada", guest: true, username: null };
const ada = { id: "u1", name: "Ada", guest: false, username: "ada" };
const bob = { id: "u2", name: "Bob", guest: false, username: "bob" };

beforeEach(() => {
  stored = stubStorage();
  asked = [];
  answers = {
    "POST /v1/auth/guest": { status: 200, body: { ...token, user: guest } },
    "POST /v1/auth/refresh": { status: 200, body: token },
    "POST /v1/auth/logout": { status: 200, body: {} },
    "POST /v1/auth/register": { status: 200, body: { ...token, token: "a", user: ada } },
    "POST /v1/auth/login": { status: 200, body: { ...token, token: "b", user: bob } },
  };
  vi.stubGlobal(
    "fetch",
    async (path: string, init: { method?: string; body?: string; headers?: object }) => {
      const method = init.method ?? "GET";
      const bearer = (init.headers as { Authorization?: string }).Authorization;
      asked.push([method, path, init.body, ...(bearer ? [bearer] : [])] as Asked);
      const { status, body } = answers[`${method} ${path}`] ?? { status: 405, body: {} };
      return Response.json(body, { status });
    },
  );
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
  new Account().introduce("Ada");
  expect(await new Account().user()).toBe("u1");
  stored.delete("collab.user");
  answers["GET /v1/me"] = { status: 200, body: { id: "u2" } };
  expect(await new Account().user()).toBe("u2");
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
  answers["PATCH /v1/me"] = { status: 200, body: { ...token, token: "t2", user: guest } };
  expect(await account.rename("Countess")).toBe(true);
  expect([account.name, await account.current()]).toEqual(["Countess", "t2"]);
});

test("a guest who registers stays the same person, and brings what is theirs", async () => {
  const account = new Account();
  account.introduce("Ada");
  await account.current();
  const other = await account.register({ username: "ada", password: "long enough", name: "Ada" });
  expect(other).toBe(false);
  expect(asked.at(-1)).toEqual([
    "POST",
    "/v1/auth/register",
    '{"username":"ada","password":"long enough","name":"Ada"}',
    "Bearer t",
  ]);
  expect([account.username, await account.current(), await account.user()]).toEqual([
    "ada",
    "a",
    "u1",
  ]);
  expect(new Account().username).toBe("ada");
});

test("who has only said a name registers as somebody new, and makes no guest", async () => {
  const account = new Account();
  account.introduce("Ada");
  await account.register({ username: "ada", password: "long enough", name: "" });
  expect(asked).toEqual([
    ["POST", "/v1/auth/register", '{"username":"ada","password":"long enough"}'],
  ]);
});

test("whoever signs in is told whether they are somebody else than before", async () => {
  const account = new Account();
  account.introduce("Ada");
  await account.current();
  expect(await account.signIn("bob", "secret of bob")).toBe(true);
  expect([account.name, account.username, await account.user()]).toEqual(["Bob", "bob", "u2"]);
  expect(await account.signIn("bob", "secret of bob")).toBe(false);
});

test("a wrong password is the server's problem to tell, and changes nothing", async () => {
  const account = new Account();
  account.introduce("Ada");
  answers["POST /v1/auth/login"] = { status: 401, body: { code: "unauthorized", detail: "no" } };
  await expect(account.signIn("bob", "guess")).rejects.toBeInstanceOf(Problem);
  expect([account.name, account.username]).toEqual(["Ada", null]);
});

test("an account whose token is refused is signed out, and no guest takes its place", async () => {
  const account = new Account();
  await account.signIn("bob", "secret of bob");
  answers["POST /v1/auth/refresh"] = { status: 401, body: {} };
  await expect(account.renewed()).rejects.toBeInstanceOf(Denied);
  expect([account.username, await account.user()]).toEqual(["bob", "u2"]);
  expect(asked.map(([, path]) => path)).not.toContain("/v1/auth/guest");
});

test("after signing out nothing of the person is left, and the server knows", async () => {
  const account = new Account();
  await account.signIn("bob", "secret of bob");
  account.signOut();
  expect(stored.size).toBe(0);
  expect(asked.at(-1)).toEqual(["POST", "/v1/auth/logout", undefined, "Bearer b"]);
  await expect(account.current()).rejects.toBeInstanceOf(Denied);
  expect(new Account().introduced).toBe(false);
});

test("one who signs out while a token is renewed stays signed out", async () => {
  const account = new Account();
  await account.signIn("bob", "secret of bob");
  const renewed = account.renewed();
  account.signOut();
  await expect(renewed).rejects.toBeInstanceOf(Denied);
  expect(stored.size).toBe(0);
});

test("a page of one person never uses the token of another, who signed in beside them", async () => {
  const former = new Account();
  await former.signIn("bob", "secret of bob");
  answers["POST /v1/auth/login"] = { status: 200, body: { ...token, token: "a", user: ada } };
  await new Account().signIn("ada", "secret of ada");
  await expect(former.current()).rejects.toBeInstanceOf(Denied);
});

test("a guest who registers in one tab is the same person in the other", async () => {
  const one = new Account();
  one.introduce("Ada");
  await one.current();
  const other = new Account();
  await other.register({ username: "ada", password: "long enough", name: "" });
  expect([await one.current(), one.username]).toEqual(["a", "ada"]);
});

test("what a server offers is asked for once; one that does not say has guests", async () => {
  const account = new Account();
  expect(await account.ways()).toEqual({ guests: true, registration: false });
  answers["GET /v1/auth"] = { status: 200, body: { guests: false, registration: true } };
  const another = new Account();
  expect(await another.ways()).toEqual({ guests: false, registration: true });
  await another.ways();
  expect(asked.length).toBe(2);
});

import { expect, test } from "vitest";
import { Denied } from "../src/connection/index.ts";
import { settled } from "./support/clock.ts";
import { asked, begin, live, next, TYPED } from "./support/scribe.ts";
import { beat, fresh, LIMITS, ME, refused, resumed, saved, updates } from "./support/script.ts";
import { answer, type World } from "./support/world.ts";

test("H1 the first handshake names the token and a client ID, and no revision", async () => {
  const { world, connection } = begin();
  expect(connection.state).toEqual({ kind: "connecting", step: "token" });
  await settled();
  expect(connection.state).toEqual({ kind: "connecting", step: "handshake" });
  const { url, asks } = world.socket;
  expect(url.origin + url.pathname).toBe("ws://server/v1/documents/doc/live");
  expect(url.searchParams.get("token")).toBe("t1");
  expect(url.searchParams.get("client")).toMatch(/^[A-Za-z0-9_-]{16,64}$/);
  expect(asks).toEqual({});
});

test("H1 two editors have two client IDs", async () => {
  const [one, other] = [begin(), begin()];
  await settled();
  const id = (world: World) => world.socket.url.searchParams.get("client");
  expect(id(one.world)).not.toBe(id(other.world));
});

test("H4 a fresh start hands over the text, and a push may be sent", async () => {
  const { world, scribe, connection } = begin();
  await settled();
  world.socket.accept();
  expect(connection.pushable).toBeNull();
  world.socket.say(fresh("text", 7));
  expect(scribe.told).toEqual([["start", "text", 0], "ready"]);
  expect(connection.state).toMatchObject({ kind: "live", client: ME, role: "editor" });
  expect(connection.revision).toBe(7);
  expect(connection.pushable).toEqual(LIMITS);
});

test("H5 a resume names revision and mark, and goes on with what was missed", async () => {
  const { world, scribe, connection } = await live(2);
  world.socket.say(updates(3, ["other", 1, [[0, "x"]]]));
  world.socket.drop();
  const socket = await next(world);
  expect(socket.asks).toEqual({ revision: "3", mark: "m3" });
  scribe.news();
  socket.say(resumed(3, { head: 4 }));
  socket.say(updates(4, ["other", 2, [1, [0, "y"]]]));
  expect(scribe.news()).toEqual([["other", [1, [0, "y"]]]]);
  expect(connection.revision).toBe(4);
});

test("H5 a resume at a mark that was not asked for makes the next start fresh", async () => {
  const { world, connection } = await live(2);
  world.socket.drop();
  const socket = await next(world);
  socket.say({ ...resumed(2), mark: "another" });
  expect(connection.state).toMatchObject({ kind: "waiting", why: "diverged" });
  expect((await next(world)).asks).toEqual({});
});

test("H6 a reset begins anew, and what was heard of saving with it", async () => {
  const { world, scribe, connection } = await live(2);
  world.socket.say(saved(2));
  world.socket.drop();
  const socket = await next(world);
  socket.say(fresh("other text", 1, { reset: true, saved: 0 }));
  expect(scribe.news()).toEqual([["start", "other text", 0]]);
  expect(connection.revision).toBe(1);
});

test("H7 a push in flight that turns out ordered is confirmed by what follows", async () => {
  const { world, scribe, connection } = await live();
  connection.push(TYPED);
  world.socket.drop();
  const socket = await next(world);
  expect(socket.asks).toEqual({ ...asked(0), inflight: "1" });
  socket.say(resumed(0, { head: 1, inflight: "ordered" }));
  expect(connection.pushable).toBeNull();
  socket.say(updates(1, [ME, 1, [[0, "a"]]]));
  expect(scribe.news()).toEqual([["own", [[0, "a"]]]]);
  expect(connection.pushable).not.toBeNull();
});

test("H7 a push in flight that turns out void frees the way for the next seq", async () => {
  const { world, scribe, connection } = await live();
  connection.push(TYPED);
  world.socket.drop();
  const socket = await next(world);
  scribe.told = [];
  socket.say(resumed(0, { inflight: "void" }));
  expect(scribe.told).toEqual(["ready"]);
  connection.push(TYPED);
  expect(socket.heard()).toEqual([{ type: "push", revision: 0, seq: 2, updates: TYPED }]);
});

test("H7 on a fresh start an ordered push is in the text already", async () => {
  const { world, scribe, connection } = await live();
  connection.push([[[0, "a"]], [1, [0, "b"]]]);
  world.socket.drop();
  const socket = await next(world);
  socket.say(fresh("ab!", 9, { inflight: "ordered", reset: true, saved: 8 }));
  expect(scribe.news()).toEqual([["start", "ab!", 2]]);
  expect(connection.inflight).toBe(false);
  // Which revision it made is not told; it is none after the welcome's.
  expect(connection.saved).toBe(false);
  socket.say(saved(9));
  expect(connection.saved).toBe(true);
});

test("H7 on a fresh start a void push is not in the text", async () => {
  const { world, scribe, connection } = await live();
  connection.push(TYPED);
  world.socket.drop();
  (await next(world)).say(fresh("!", 9, { inflight: "void", reset: true }));
  expect(scribe.news()).toEqual([["start", "!", 0]]);
  expect(connection.inflight).toBe(false);
});

test("H7 the fate is asked for again where the welcome never came", async () => {
  const { world, connection } = await live();
  connection.push(TYPED);
  world.socket.drop();
  (await next(world)).drop();
  expect((await next(world)).asks).toEqual({ ...asked(0), inflight: "1" });
});

test("H7 a welcome that leaves the push unsettled is no welcome", async () => {
  const { world, connection } = await live();
  connection.push(TYPED);
  world.socket.drop();
  (await next(world)).say(resumed(0));
  expect(connection.state.kind).toBe("waiting");
  expect((await next(world)).asks).toEqual({ ...asked(0), inflight: "1" });
});

test("P1 seq grows, and the revision is the last that was received", async () => {
  const { world, connection } = await live(3);
  connection.push(TYPED);
  world.socket.say(updates(4, ["other", 8, [[0, "x"]]], [ME, 1, [1, [0, "a"]]]));
  await world.pass(1);
  connection.push(TYPED);
  expect(world.socket.heard()).toEqual([
    { type: "push", revision: 3, seq: 1, updates: TYPED },
    { type: "push", revision: 5, seq: 2, updates: TYPED },
  ]);
});

test("P2 nothing is pushed while a push is in flight", async () => {
  const { connection } = await live();
  connection.push(TYPED);
  expect(connection.pushable).toBeNull();
  expect(() => connection.push(TYPED)).toThrow("no push may be sent now");
});

test("L1 pushes keep to the pace that the limits set", async () => {
  const stage = begin();
  const { world, scribe, connection } = stage;
  await settled();
  world.socket.accept();
  world.socket.say(fresh("", 0, { limits: { ...LIMITS, pushes_per_second: 4 } }));
  connection.push(TYPED);
  world.socket.say(updates(1, [ME, 1, [[0, "a"]]]));
  scribe.told = [];
  await world.pass(249);
  expect(connection.pushable).toBeNull();
  expect(scribe.told).toEqual([]);
  await world.pass(1);
  expect(connection.pushable).not.toBeNull();
  expect(scribe.told).toEqual(["ready"]);
});

test.each(["invalid_change", "forbidden", "too_large", "document_full"])(
  "P5 %s is for good: the replica gives up the push",
  async (code) => {
    const { world, scribe, connection } = await live();
    connection.push(TYPED);
    world.socket.say(refused(1, code));
    expect(scribe.news()).toEqual([["reject", code]]);
    expect(connection.inflight).toBe(false);
  },
);

test.each(["stale", "rate_limited", "unavailable"])(
  "P5 %s passes: the replica may push again later",
  async (code) => {
    const { world, scribe, connection } = await live();
    connection.push(TYPED);
    scribe.told = [];
    world.socket.say(refused(1, code, { retry_after_ms: 3_000 }));
    await world.pass(2_999);
    expect(scribe.told).toEqual([]);
    await world.pass(1);
    expect(scribe.told).toEqual(["ready"]);
    connection.push(TYPED);
    expect(world.socket.heard().at(-1)).toMatchObject({ type: "push", seq: 2 });
  },
);

test("P5 what is refused again and again waits longer each time", async () => {
  const { world, scribe, connection } = await live(0, {
    backoff: { first_ms: 100, ceiling_ms: 1_000 },
  });
  for (const [seq, wait_ms] of [100, 200, 400, 800, 1_000, 1_000].entries()) {
    connection.push(TYPED);
    world.socket.say(refused(seq + 1, "unavailable"));
    scribe.told = [];
    await world.pass(wait_ms - 1);
    expect(scribe.told).toEqual([]);
    await world.pass(1);
    expect(scribe.told).toEqual(["ready"]);
    world.socket.say(beat(0));
  }
});

test("P6 messages and fields that are not known are ignored", async () => {
  const { world, scribe, connection } = await live();
  world.socket.say({ type: "presence", peers: [], left: [] });
  world.socket.say({ type: "from a later version" });
  world.socket.say({ ...saved(0), more: true });
  expect(scribe.news()).toEqual([]);
  expect(connection.state.kind).toBe("live");
});

test.each([
  ["not JSON", "{"],
  ["binary", new ArrayBuffer(1)],
  ["without a mark", JSON.stringify({ type: "updates", revision: 1, updates: [] })],
  ["a second welcome", JSON.stringify(fresh(""))],
])("a message that is %s ends the session, and the next one resumes", async (_, data) => {
  const { world, connection } = await live();
  world.socket.sayRaw(data);
  expect(connection.state).toMatchObject({ kind: "waiting", why: "lost" });
  expect((await next(world)).asks).toEqual(asked(0));
});

test("U2 a gap ends the session, and the next one resumes before it", async () => {
  const { world, scribe } = await live();
  world.socket.say(updates(2, ["other", 1, [[0, "x"]]]));
  expect(scribe.news()).toEqual([]);
  expect((await next(world)).asks).toEqual(asked(0));
});

test("U3 an update is own only by client and seq of the push in flight", async () => {
  const { world, scribe, connection } = await live();
  world.socket.say(updates(1, [ME, 1, [[0, "w"]]]));
  connection.push(TYPED);
  world.socket.say(
    updates(
      2,
      ["other", 1, [[0, "x"]]],
      [ME, 7, [[0, "y"]]],
      ["", 0, [3]],
      [ME, 1, [3, [0, "a"]]],
      [ME, 0, [[0, "z"]]],
    ),
  );
  expect(scribe.news().map((line) => (line as unknown[])[0])).toEqual([
    "other",
    "other",
    "other",
    "other",
    "own",
    "other",
  ]);
  expect(connection.inflight).toBe(false);
});

test("U3 a push that comes back in part was not this one: the next start is fresh", async () => {
  const { world, scribe, connection } = await live();
  connection.push([[[0, "a"]], [1, [0, "b"]]]);
  world.socket.say(updates(1, [ME, 1, [[0, "a"]]]));
  expect(scribe.news()).toEqual([]);
  expect((await next(world)).asks).toEqual({ inflight: "1" });
});

test("a replica that cannot follow gets the text anew", async () => {
  const { world, scribe, connection } = await live();
  scribe.failing = true;
  world.socket.say(updates(1, ["other", 1, [[9, "x"]]]));
  expect(connection.state).toMatchObject({ kind: "waiting", why: "diverged" });
  expect((await next(world)).asks).toEqual({});
});

test("U5 each beat is answered", async () => {
  const { world } = await live();
  world.socket.say(beat(0));
  world.socket.say(beat(0));
  expect(world.socket.heard()).toEqual([{ type: "beat" }, { type: "beat" }]);
});

test("U5 without a beat for two heartbeats it reconnects, however busy the session is", async () => {
  const { world, connection } = await live();
  await world.pass(15_000);
  world.socket.say(beat(0));
  await world.pass(19_999);
  world.socket.say(updates(1, ["other", 1, [[0, "x"]]]));
  expect(connection.state.kind).toBe("live");
  const silent = world.socket;
  await world.pass(1);
  expect(connection.state).toMatchObject({ kind: "waiting", why: "silent" });
  expect(silent.closed).toBe(true);
  expect((await next(world)).asks).toEqual(asked(1));
});

test("U5 a beat at another revision than this client's is a gap", async () => {
  const { world, connection } = await live();
  world.socket.say(beat(1));
  expect(connection.state).toMatchObject({ kind: "waiting", why: "lost" });
  expect((await next(world)).asks).toEqual(asked(0));
});

test("U6 a text with another checksum is fetched anew, with the push in flight settled", async () => {
  const { world, scribe, connection } = await live(4);
  scribe.content = "zażółć 😀\n";
  // python3 -c 'import zlib; print(zlib.crc32("zażółć 😀\n".encode("utf-16-le")))'
  world.socket.say(beat(4, { crc: 650_614_759 }));
  expect(connection.state.kind).toBe("live");
  connection.push(TYPED);
  world.socket.say(beat(4, { crc: 1 }));
  expect(connection.state).toMatchObject({ kind: "waiting", why: "diverged" });
  expect((await next(world)).asks).toEqual({ inflight: "1" });
});

test("S1 saved when the database has the last own update, and the largest word counts", async () => {
  const { world, connection } = await live();
  expect(connection.saved).toBe(true);
  connection.push(TYPED);
  expect(connection.saved).toBe(false);
  world.socket.say(updates(1, [ME, 1, [[0, "a"]]], ["other", 1, [[0, "b"]]]));
  expect(connection.saved).toBe(false);
  world.socket.say(beat(2, { saved: 1 }));
  expect(connection.saved).toBe(true);
  world.socket.say(saved(0));
  expect(connection.saved).toBe(true);
});

test("H2 a refused handshake asks REST why, with the same token", async () => {
  const { world, connection } = begin();
  await settled();
  world.answer = answer(503, { "retry-after": "7" });
  world.socket.drop();
  expect(connection.state).toEqual({ kind: "connecting", step: "reason" });
  await settled();
  expect(world.asked).toEqual(["http://server/v1/documents/doc"]);
  expect(connection.state).toEqual({ kind: "waiting", until: 7_000, why: "busy" });
});

test.each([
  [403, "forbidden"],
  [404, "not_found"],
])("H2 a handshake refused with %i stops", async (status, reason) => {
  const { world, connection } = begin();
  await settled();
  world.answer = answer(status);
  world.socket.drop();
  await world.pass(60_000);
  expect(connection.state).toEqual({ kind: "stopped", reason });
  expect(world.sockets.length).toBe(1);
});

test("H2 a handshake refused with 401 gets a new token, once", async () => {
  const { world, tokens, connection } = begin();
  await settled();
  world.answer = answer(401);
  world.socket.drop();
  await settled();
  expect(world.socket.url.searchParams.get("token")).toBe("t2");
  world.socket.drop();
  await settled();
  expect(connection.state).toEqual({ kind: "stopped", reason: "unauthorized" });
  expect(tokens.asked).toEqual(["current", "renewed"]);
});

test("H2 where REST cannot be reached either, it keeps trying", async () => {
  const { world, connection } = begin();
  await settled();
  world.answer = null;
  world.socket.drop();
  await settled();
  expect(connection.state).toMatchObject({ kind: "waiting", why: "lost" });
});

test("without a token for this person it stops; where one may come, it waits", async () => {
  const denied = begin({
    tokens: { current: () => Promise.reject(new Denied()), renewed: () => Promise.reject() },
  });
  const offline = begin({
    tokens: { current: () => Promise.reject(new TypeError()), renewed: () => Promise.reject() },
  });
  await settled();
  expect(denied.connection.state).toEqual({ kind: "stopped", reason: "unauthorized" });
  expect(offline.connection.state).toMatchObject({ kind: "waiting", why: "lost" });
});

test.each([
  [4403, "forbidden"],
  [4404, "deleted"],
  [4409, "replaced"],
])("L3 %i stops", async (code, reason) => {
  const { world, connection } = await live();
  world.socket.drop(code);
  await world.pass(120_000);
  expect(connection.state).toEqual({ kind: "stopped", reason });
  expect(world.sockets.length).toBe(1);
});

test.each([1006, 1001, 1011, 1012, 4400, 4408, 4410, 4429])(
  "L3 after %i it resumes",
  async (code) => {
    const { world } = await live(3);
    world.socket.drop(code);
    expect((await next(world)).asks).toEqual(asked(3));
  },
);

test("L3 4429 is given some time", async () => {
  const { world } = await live();
  world.luck = 0;
  world.socket.drop(4429);
  await world.pass(4_999);
  expect(world.sockets.length).toBe(1);
  await world.pass(1);
  expect(world.sockets.length).toBe(2);
});

test("L3 4401 comes back at once with a new token", async () => {
  const { world, tokens } = await live(3);
  world.socket.drop(4401);
  await settled();
  expect(world.socket.url.searchParams.get("token")).toBe("t2");
  expect(world.socket.asks).toEqual(asked(3));
  world.socket.accept();
  world.socket.say(resumed(3));
  world.socket.drop(4401);
  await settled();
  expect(tokens.asked).toEqual(["current", "renewed", "renewed"]);
});

test.each([
  [1009, "too_large"],
  [4400, "invalid_change"],
])("L3 a push that the server closed with %i over is not sent again", async (code, rejection) => {
  const { world, scribe, connection } = await live();
  connection.push(TYPED);
  world.socket.drop(code);
  const socket = await next(world);
  expect(scribe.news()).toEqual([]);
  socket.say(resumed(0, { inflight: "void" }));
  expect(scribe.news()).toEqual([["reject", rejection]]);
});

test("L3 a push that was ordered after all is not given up with 4400", async () => {
  const { world, scribe, connection } = await live();
  connection.push(TYPED);
  world.socket.drop(4400);
  (await next(world)).say(resumed(0, { head: 1, inflight: "ordered" }));
  expect(scribe.news()).toEqual([]);
});

test("replaced by a handshake of its own that it had given up, it comes back", async () => {
  const { world, connection } = begin();
  await settled();
  await world.pass(20_000); // no answer in all that time
  const socket = await next(world);
  socket.say(fresh("", 3));
  socket.drop(4409); // the first one has arrived
  const again = await next(world);
  expect(again.asks).toEqual(asked(3));
  again.say(resumed(3));
  again.drop(4409); // this was somebody else
  expect(connection.state).toEqual({ kind: "stopped", reason: "replaced" });
});

test("H9 after a goodbye it comes back when it was told to", async () => {
  const { world, connection } = await live(3);
  world.luck = 0;
  world.socket.say({ type: "goodbye", retry_after_ms: 1_234 });
  expect(connection.state.kind).toBe("live");
  world.socket.drop(1012);
  expect(connection.state).toEqual({ kind: "waiting", until: 1_234, why: "restart" });
  expect((await next(world)).asks).toEqual(asked(3));
});

test("the waits double up to the ceiling, and begin anew after a session that held", async () => {
  const { world, connection } = begin({ backoff: { first_ms: 100, ceiling_ms: 500 } });
  await settled();
  const waits: number[] = [];
  const fail = async () => {
    world.socket.drop();
    await settled();
    if (connection.state.kind !== "waiting") throw new Error(connection.state.kind);
    const wait_ms = connection.state.until - world.now();
    waits.push(wait_ms);
    await world.pass(wait_ms);
  };
  for (let i = 0; i < 4; i++) await fail();
  world.socket.accept();
  world.socket.say(fresh(""));
  await world.pass(5_000);
  await fail();
  expect(waits).toEqual([100, 200, 400, 500, 100]);
});

test("the jitter is full: with luck there is no wait at all", async () => {
  const { world, connection } = await live();
  world.luck = 0;
  world.socket.drop();
  expect(connection.state).toMatchObject({ kind: "waiting", until: world.now() });
});

test("a handshake that nobody answers is given up", async () => {
  const { world, connection } = begin({ patience_ms: 1_000 });
  await settled();
  const unanswered = world.socket;
  await world.pass(1_000);
  expect(connection.state).toMatchObject({ kind: "waiting", why: "lost" });
  expect(unanswered.closed).toBe(true);
});

test("what a former socket still brings is dropped", async () => {
  const { world, scribe, connection } = await live();
  const former = world.socket;
  former.drop();
  await next(world);
  former.say(updates(1, ["other", 1, [[0, "x"]]]));
  former.drop(4404);
  expect(scribe.news()).toEqual([]);
  expect(connection.state.kind).toBe("connecting");
});

test("retry cuts a wait short", async () => {
  const { world, connection } = await live();
  world.socket.drop();
  connection.retry();
  await settled();
  expect(world.sockets.length).toBe(2);
  await world.pass(10_000);
  expect(world.sockets.length).toBe(2);
});

test("close lets go of the socket and of every timer, and open goes on from there", async () => {
  const { world, connection } = await live(3);
  connection.close();
  expect(world.socket.closed).toBe(true);
  await world.pass(60_000);
  expect(connection.state).toEqual({ kind: "stopped", reason: "closed" });
  connection.open();
  await settled();
  expect(world.socket.asks).toEqual(asked(3));
});

test("X1 a new token is handed to the live session", async () => {
  const { world, connection } = await live();
  connection.renew("t9");
  expect(world.socket.heard()).toEqual([{ type: "token", token: "t9" }]);
});

test("X2 a changed role is the session's from then on", async () => {
  const { world, connection } = await live();
  world.socket.say({ type: "role", role: "viewer" });
  expect(connection.state).toMatchObject({ kind: "live", role: "viewer" });
});

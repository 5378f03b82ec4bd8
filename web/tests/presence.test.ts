import { expect, test } from "vitest";
import type { Connection, Range } from "../src/connection/index.ts";
import { asked, live, next, TYPED } from "./support/scribe.ts";
import { fresh, LIMITS, ME, peer, presence, resumed, updates } from "./support/script.ts";

/** The peers as `client: anchor-head anchor-head`. */
function here({ peers }: Connection): string[] {
  return peers.map(({ client, ranges }) =>
    [`${client}:`, ...ranges.map(([anchor, head]) => `${anchor}-${head}`)].join(" "),
  );
}

/** A session on ten units at revision 3, with some peers. */
async function among(...peers: object[]) {
  const stage = await live(3);
  stage.world.socket.drop();
  const socket = await next(stage.world);
  stage.scribe.content = "0123456789";
  socket.say(fresh("0123456789", 3, { presence: peers }));
  socket.heard();
  return { ...stage, socket };
}

function said(socket: { heard(): unknown[] }): unknown[] {
  return socket.heard().filter((message) => (message as { type: string }).type === "presence");
}

function saying(revision: number, ...ranges: Range[]) {
  return [{ type: "presence", revision, ranges }];
}

test("A2 the welcome tells who is here, and messages what has changed", async () => {
  const { socket, connection } = await among(peer("a", 3, [1, 4]), peer("b", 3));
  expect(here(connection)).toEqual(["a: 1-4", "b:"]);
  expect(connection.peers[0]).toMatchObject({ name: "A", color: "#2d5bb9" });
  socket.say(presence([peer("b", 3, [2, 2]), peer("c", 3)], ["a"]));
  expect(here(connection)).toEqual(["b: 2-2", "c:"]);
});

test("A1 positions of a revision that is not reached yet wait for it, and go on from there", async () => {
  const { socket, connection } = await among(peer("a", 3, [1, 1]));
  socket.say(presence([peer("a", 5, [12, 12])]));
  expect(here(connection)).toEqual(["a: 1-1"]);
  socket.say(updates(4, ["x", 1, [[0, "-"], 10]]));
  expect(here(connection)).toEqual(["a: 2-2"]);
  socket.say(updates(5, ["x", 2, [11, [0, "+"]]], ["x", 3, [[2], 10]]));
  expect(here(connection)).toEqual(["a: 10-10"]);
});

test("A1 positions are mapped forward through every update", async () => {
  const { socket, connection } = await among(peer("a", 3, [2, 5], [9, 9]));
  socket.say(updates(4, ["x", 1, [[0, "--"], 10]], ["y", 1, [3, [3], 6]]));
  expect(here(connection)).toEqual(["a: 3-4 8-8"]);
});

test("A1 what a peer types takes its cursor along, and what others type there does not", async () => {
  const { socket, connection } = await among(peer("a", 3, [5, 5]), peer("b", 3, [5, 5]));
  socket.say(updates(4, ["a", 1, [5, [0, "abc"], 5]]));
  expect(here(connection)).toEqual(["a: 8-8", "b: 5-5"]);
});

test("A1 positions outside the text are clamped", async () => {
  const { socket, connection } = await among(peer("a", 3, [4, 99]));
  expect(here(connection)).toEqual(["a: 4-10"]);
  socket.say(updates(4, ["x", 1, [8, [2]]]));
  socket.say(presence([peer("a", 4, [99, 99])]));
  expect(here(connection)).toEqual(["a: 8-8"]);
});

test("A2 this client is not among its own peers", async () => {
  const { socket, connection } = await among(peer(ME, 3, [1, 1]), peer("a", 3));
  socket.say(presence([peer(ME, 3, [2, 2])]));
  expect(here(connection)).toEqual(["a:"]);
});

test("A2 peers are gone with the session, and the next welcome brings them anew", async () => {
  const { world, socket, connection } = await among(peer("a", 3, [1, 1]));
  socket.drop();
  expect(here(connection)).toEqual([]);
  (await next(world)).say(resumed(3, { presence: [peer("b", 3, [7, 12])] }));
  expect(here(connection)).toEqual(["b: 7-10"]);
});

test("the list of peers is the same until something in it changes", async () => {
  const { socket, connection } = await among(peer("a", 3, [1, 1]));
  const { peers } = connection;
  socket.say(updates(4, ["x", 1, [10, [0, "."]]]));
  expect(connection.peers).toBe(peers);
  socket.say(updates(5, ["x", 2, [[0, "."], 11]]));
  expect(connection.peers).not.toBe(peers);
});

test.each([
  ["without a colour", { ...peer("a", 3), color: undefined }],
  ["with a colour that is none", { ...peer("a", 3), color: "red;}" }],
  ["with half a range", { ...peer("a", 3), ranges: [[1]] }],
])("a peer %s is no message of this protocol", async (_, wrong) => {
  const { world, socket, connection } = await among();
  socket.say(presence([wrong]));
  expect(connection.state).toMatchObject({ kind: "waiting", why: "lost" });
  expect((await next(world)).asks).toEqual(asked(3));
});

test("A1 a cursor is told at once, with the revision that it belongs to", async () => {
  const { socket, connection } = await among();
  connection.present([[2, 5]]);
  expect(said(socket)).toEqual(saying(3, [2, 5]));
});

test("A1 no ranges: present, without a cursor", async () => {
  const { socket, connection } = await among();
  connection.present([]);
  expect(said(socket)).toEqual(saying(3));
});

test("L1 the latest wins, at most presence_hz times a second", async () => {
  const { world, socket, connection } = await among();
  for (const at of [1, 2, 3]) connection.present([[at, at]]);
  expect(said(socket)).toEqual(saying(3, [1, 1]));
  await world.pass(99);
  expect(said(socket)).toEqual([]);
  await world.pass(1);
  expect(said(socket)).toEqual(saying(3, [3, 3]));
  await world.pass(1_000);
  expect(said(socket)).toEqual([]);
});

test("L1 there are never more than max_ranges", async () => {
  const { socket, connection } = await among();
  connection.present([1, 2, 3, 4, 5].map((at): Range => [at, at]));
  expect(said(socket)).toEqual(saying(3, [1, 1], [2, 2], [3, 3]));
});

test("A1 what waits to be told is carried over the updates that come meanwhile", async () => {
  const { world, socket, connection } = await among();
  connection.present([[1, 1]]);
  connection.present([[6, 6]]);
  socket.say(updates(4, ["x", 1, [[0, "--"], 10]]));
  socket.heard();
  await world.pass(100);
  expect(said(socket)).toEqual(saying(4, [8, 8]));
});

test("A3 what the others can tell themselves is not told again", async () => {
  const { world, socket, connection } = await among();
  connection.present([[6, 6]]);
  socket.heard();
  socket.say(updates(4, ["x", 1, [[0, "--"], 10]]));
  connection.present([[8, 8]]);
  await world.pass(1_000);
  expect(said(socket)).toEqual([]);
});

test("A1 after one's own text the cursor is told again", async () => {
  const { world, socket, connection } = await among();
  connection.present([[0, 0]]);
  connection.push(TYPED);
  socket.heard();
  socket.say(updates(4, [ME, 1, [[0, "a"], 10]]));
  await world.pass(1_000);
  expect(said(socket)).toEqual(saying(4, [1, 1]));
});

test("A1 a cursor that rests is told again before the server gives it up", async () => {
  const { world, socket, connection } = await among();
  connection.present([[6, 6]]);
  socket.heard();
  for (let revision = 4; revision < 4 + 501; revision++) {
    await world.pass(20);
    socket.say(updates(revision, ["x", revision, [10]]));
    if (revision % 100 === 0) socket.say({ type: "beat", ...at(revision), saved: 0 });
  }
  expect(said(socket).length).toBe(1);
});

test("A1 between sessions nothing is told, and after each resume all of it", async () => {
  const { world, scribe, socket, connection } = await among();
  connection.present([[2, 2]]);
  socket.drop();
  connection.present([[4, 99]]);
  const again = await next(world);
  expect(said(again)).toEqual([]);
  scribe.content = "0123456789";
  again.say(resumed(3));
  expect(said(again)).toEqual(saying(3, [4, 10]));
  again.drop();
  const third = await next(world);
  third.say(resumed(3));
  expect(said(third)).toEqual(saying(3, [4, 10]));
});

test("L1 a server that wants no presence gets none", async () => {
  const { world, socket, connection } = await among();
  socket.drop();
  const again = await next(world);
  again.say(fresh("", 3, { limits: { ...LIMITS, presence_hz: 0 } }));
  connection.present([[0, 0]]);
  expect(said(again)).toEqual([]);
});

function at(revision: number) {
  return { revision, mark: `m${revision}` };
}

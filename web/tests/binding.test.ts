import { undo } from "@codemirror/commands";
import { ChangeSet, EditorSelection, EditorState, Text } from "@codemirror/state";
import { expect, test } from "vitest";
import { collaborative, HeadlessEditor } from "../src/binding/index.ts";
import type { Changes } from "../src/connection/index.ts";
import { shownPeers } from "../src/presence/index.ts";
import { settled } from "./support/clock.ts";
import {
  beat,
  fresh,
  LIMITS,
  ME,
  peer,
  presence,
  refused,
  resumed,
  saved,
  updates,
} from "./support/script.ts";
import { opened, type Push, Stage } from "./support/stage.ts";

test("H4 the editor shows the text, and has nothing to send", async () => {
  const stage = await opened("one\ntwo");
  expect(stage.text).toBe("one\ntwo");
  expect(stage.pushes()).toEqual([]);
  expect(stage.statuses.at(-1)).toBe("live saved");
});

test("what was typed before the first welcome stays beside the text", async () => {
  const stage = new Stage();
  stage.type(0, "mine");
  await settled();
  stage.world.socket.accept();
  stage.say(fresh("theirs"));
  expect(stage.text).toBe("theirsmine");
  expect(stage.pushes()).toEqual(['0/1: [6,[0,"mine"]]']);
});

test("P2 what is typed while a push is in flight goes into the next one", async () => {
  const stage = await opened("");
  stage.type(0, "a");
  stage.type(1, "b");
  stage.type(2, "c");
  expect(stage.pushes()).toEqual(['0/1: [[0,"a"]]']);
  stage.say(updates(1, [ME, 1, [[0, "a"]]]));
  await stage.world.pass(1);
  expect(stage.pushes()).toEqual(['1/2: [1,[0,"b"]] [2,[0,"c"]]']);
});

test("T8 concurrent updates are received one at a time, and what is unsent moves with them", async () => {
  const stage = await opened("xy");
  stage.type(1, "a");
  stage.type(2, "b");
  stage.say(updates(1, ["other", 1, [1, [1]]], ["other", 2, [1, [0, "z"]]]));
  expect(stage.text).toBe("xzab");
  stage.say(updates(3, [ME, 1, [2, [0, "a"]]]));
  await stage.world.pass(1);
  expect(stage.pushes()).toEqual(['0/1: [1,[0,"a"],1]', '3/2: [3,[0,"b"]]']);
});

test("U3 an update under this client's name that is not in flight is somebody else's", async () => {
  const stage = await opened("");
  stage.type(0, "a");
  stage.say(updates(1, [ME, 9, [[0, "x"]]], ["", 0, [1]]));
  expect(stage.text).toBe("xa");
  expect(stage.binding.connection.inflight).toBe(true);
});

test("an own update that comes back as another one starts fresh, and nothing is lost", async () => {
  const stage = await opened("");
  stage.type(0, "a");
  stage.type(1, "b");
  stage.say(updates(1, [ME, 1, [[0, "A"]]]));
  expect(stage.text).toBe("ab");
  const socket = await stage.again();
  expect(socket.asks).toEqual({ inflight: "1" });
  stage.say(fresh("A", 1, { inflight: "ordered" }));
  expect(stage.text).toBe("Ab");
  expect(stage.pushes()).toEqual(['1/2: [1,[0,"b"]]']);
});

test("a view is told of a message's updates in one step", async () => {
  const stage = await opened("");
  const steps: number[] = [];
  const dispatch = stage.editor.dispatch.bind(stage.editor);
  stage.editor.dispatch = (transactions) => {
    steps.push(transactions.length);
    dispatch(transactions);
  };
  stage.say(updates(1, ["o", 1, [[0, "a"]]], ["o", 2, [1, [0, "b"]]], ["o", 3, [2, [0, "c"]]]));
  expect(steps).toEqual([3]);
  expect(stage.text).toBe("abc");
});

test("updates that do not fit leave the editor as it was, and the text comes anew", async () => {
  const stage = await opened("ab");
  stage.type(2, "!");
  stage.say(updates(1, ["o", 1, [2, [0, "c"]]], ["o", 2, [9, [0, "d"]]]));
  expect(stage.text).toBe("ab!");
  await stage.again();
  stage.say(fresh("abcd", 2, { inflight: "void" }));
  expect(stage.text).toBe("abcd!");
});

test("H7 void: the updates are unsent again, and go out under the next seq", async () => {
  const stage = await opened("");
  stage.type(0, "a");
  stage.type(1, "b");
  stage.pushes();
  await stage.broken();
  stage.say(resumed(0, { inflight: "void" }));
  expect(stage.pushes()).toEqual(['0/2: [[0,"a"]] [1,[0,"b"]]']);
});

test("H7 ordered: the updates are confirmed by what follows, and are not sent again", async () => {
  const stage = await opened("");
  stage.type(0, "a");
  await stage.broken();
  stage.type(1, "b");
  stage.say(resumed(0, { head: 2, inflight: "ordered" }));
  expect(stage.pushes()).toEqual([]);
  stage.say(updates(1, ["other", 1, [[0, "x"]]], [ME, 1, [1, [0, "a"]]]));
  expect(stage.text).toBe("xab");
  expect(stage.pushes()).toEqual(['2/2: [2,[0,"b"]]']);
});

test("H6 a reset carries what is unsent over the difference between the texts", async () => {
  const stage = await opened("one two three");
  await stage.broken();
  stage.type(8, "and ", 8);
  stage.type(4, "2", 7);
  stage.say(fresh("zero one two four", 9, { reset: true }));
  expect(stage.text).toBe("zero one 2 and four");
  expect(stage.pushes()).toEqual(['9/1: [13,[0,"and "],4] [9,[3,"2"],9]']);
});

test("H6 a reset after which the push in flight is in the text", async () => {
  const stage = await opened("one");
  stage.type(3, " two");
  await stage.broken();
  stage.type(7, " three");
  stage.say(fresh("zero one two", 9, { reset: true, inflight: "ordered" }));
  expect(stage.text).toBe("zero one two three");
  expect(stage.pushes()).toEqual(['9/2: [12,[0," three"]]']);
});

test("H6 a reset after which the push in flight is not in the text", async () => {
  const stage = await opened("one");
  stage.type(3, " two");
  await stage.broken();
  stage.type(7, " three");
  stage.say(fresh("zero one", 9, { reset: true, inflight: "void" }));
  expect(stage.text).toBe("zero one two three");
  expect(stage.pushes()).toEqual(['9/2: [8,[0," two"]] [12,[0," three"]]']);
});

test("H6 what is unsent is not confused by the same text typed elsewhere", async () => {
  const stage = await opened("aa\naa\n");
  await stage.broken();
  stage.type(3, "mine", 5);
  stage.say(fresh("aa\naa\naa\n", 3, { reset: true }));
  expect(stage.text).toBe("aa\nmine\naa\n");
});

test("U6 a text that is not the server's is replaced, and what is unsent stays", async () => {
  const stage = await opened("abc");
  stage.type(3, "!");
  stage.pushes();
  stage.say(beat(0, { crc: 1 }));
  const socket = await stage.again();
  expect(socket.asks).toEqual({ inflight: "1" });
  stage.say(fresh("abd", 0, { inflight: "void" }));
  expect(stage.text).toBe("abd!");
  expect(stage.pushes()).toEqual(['0/2: [3,[0,"!"]]']);
});

test("U6 the checksum is of the confirmed text alone", async () => {
  const stage = await opened("a\n😀");
  stage.type(0, "unsent ");
  // python3 -c 'import zlib; print(zlib.crc32("a\n😀".encode("utf-16-le")))'
  stage.say(beat(0, { crc: 944_301_837 }));
  expect(stage.binding.status.connection.kind).toBe("live");
});

test("L1 a push keeps to the limits, and the rest goes into the next", async () => {
  const stage = await opened("", { max_updates_per_push: 2 });
  stage.world.socket.drop();
  for (const [i, letter] of [..."abcde"].entries()) stage.type(i, letter);
  await stage.again();
  stage.say(resumed(0, { limits: { ...LIMITS, max_updates_per_push: 2 } }));
  stage.say(updates(1, [ME, 1, [[0, "a"]]], [ME, 1, [1, [0, "b"]]]));
  await stage.world.pass(1);
  expect(stage.pushes()).toEqual(['0/1: [[0,"a"]] [1,[0,"b"]]', '2/2: [2,[0,"c"]] [3,[0,"d"]]']);
});

test("L2 a paste that no push takes goes out in pieces, and stays as it was pasted", async () => {
  const stage = await opened("<>", { max_message_bytes: 400 });
  const paste = "😀line\n".repeat(60);
  stage.editor.edit({
    changes: { from: 1, insert: paste },
    selection: { anchor: 1 + paste.length },
  });
  expect(stage.text).toBe(`<${paste}>`);
  expect(stage.editor.state.selection.main.anchor).toBe(1 + paste.length);

  let server = Text.of(["<>"]);
  let revision = 0;
  while (stage.binding.connection.inflight) {
    const push = (stage.world.socket.heard() as Push[]).find(({ type }) => type === "push");
    if (!push) throw new Error("nothing was pushed");
    expect(JSON.stringify(push).length).toBeLessThanOrEqual(400);
    for (const changes of push.updates) server = ChangeSet.fromJSON(changes).apply(server);
    const own = push.updates.map((changes): [string, number, Changes] => [ME, push.seq, changes]);
    stage.say(updates(revision + 1, ...own));
    revision += own.length;
    await stage.world.pass(1);
  }
  expect(revision).toBeGreaterThan(3);
  expect(server.toString()).toBe(`<${paste}>`);
  expect(stage.text).toBe(`<${paste}>`);
});

test("P5 for good: the editor is rebuilt, and the person gets the rest", async () => {
  const stage = await opened("ab");
  stage.type(1, "X");
  stage.type(3, "Y");
  stage.type(0, "", 1);
  stage.say(updates(1, ["other", 1, [2, [0, "c"]]]));
  stage.say(refused(1, "document_full"));
  expect(stage.text).toBe("abc");
  expect(stage.unsent).toEqual([
    { code: "document_full", message: "document_full", text: "XbcY", typed: ["X", "Y"] },
  ]);
  expect(stage.statuses.at(-1)).toBe("live saved");
  stage.type(3, "d");
  await stage.world.pass(1);
  expect(stage.pushes().at(-1)).toBe('1/2: [3,[0,"d"]]');
});

test("X2 what was not sent, or not answered, when access was lost is handed over, once", async () => {
  const stage = await opened("ab");
  stage.type(1, "X");
  stage.type(3, "Y");
  stage.world.socket.drop(4403);
  stage.binding.giveUp();
  stage.binding.giveUp();
  expect(stage.text).toBe("ab");
  expect(stage.unsent).toMatchObject([{ code: "access_lost", text: "aXbY", typed: ["X", "Y"] }]);
  expect(stage.statuses.at(-1)).toBe("stopped saved");

  stage.binding.connection.open();
  const socket = await stage.again();
  expect(socket.asks).toEqual({});
  stage.say(fresh("aXb", 1));
  expect(stage.text).toBe("aXb");
  expect(stage.pushes()).toEqual([]);
});

test("P5 for now: the same is pushed again, rebased, under the next seq", async () => {
  const stage = await opened("ab");
  stage.type(1, "X");
  stage.say(updates(1, ["other", 1, [[0, "c"], 2]]));
  stage.say(refused(1, "stale", { retry_after_ms: 800 }));
  await stage.world.pass(800);
  expect(stage.pushes()).toEqual(['0/1: [1,[0,"X"],1]', '1/2: [2,[0,"X"],1]']);
  expect(stage.unsent).toEqual([]);
});

test("S2 saved only when the database has the last own update and nothing is unsent", async () => {
  const stage = await opened("");
  stage.type(0, "a");
  stage.type(1, "b");
  stage.say(updates(1, [ME, 1, [[0, "a"]]]));
  await stage.world.pass(1);
  stage.say(saved(1));
  expect(stage.binding.status.saved).toBe(false);
  stage.say(updates(2, [ME, 2, [1, [0, "b"]]]));
  expect(stage.binding.status.saved).toBe(false);
  stage.say(saved(2));
  expect(stage.binding.status.saved).toBe(true);
  stage.world.socket.drop();
  expect(stage.binding.status.saved).toBe(true);
  stage.type(2, "c");
  expect(stage.binding.status.saved).toBe(false);
});

test("undo takes back what was typed here, and nothing that came from elsewhere", async () => {
  const stage = await opened("");
  stage.type(0, "mine");
  stage.say(updates(1, [ME, 1, [[0, "mine"]]], ["other", 1, [[0, "theirs "], 4]]));
  await stage.world.pass(1);
  undo({ state: stage.editor.state, dispatch: (tr) => stage.editor.dispatch([tr]) });
  expect(stage.text).toBe("theirs ");
  expect(stage.pushes().at(-1)).toBe("2/2: [7,[4]]");
});

test("A1 the cursor is told as it stands in the confirmed text", async () => {
  const stage = await opened("0123456789");
  stage.said();
  stage.editor.edit({ changes: { from: 2, insert: "abc" }, selection: { anchor: 5 } });
  await stage.world.pass(100);
  expect(stage.said()).toEqual(["0: 2-2"]);
  stage.editor.edit({ changes: { from: 0, to: 1 }, selection: { anchor: 9, head: 5 } });
  await stage.world.pass(100);
  expect(stage.said()).toEqual(["0: 7-3"]);
  stage.say(updates(1, [ME, 1, [2, [0, "abc"], 8]]));
  await stage.world.pass(100);
  expect(stage.said()).toEqual(["1: 10-6"]);
});

test("A1 a cursor in text that is unsent stands where that begins", async () => {
  const stage = await opened("01");
  stage.said();
  stage.type(1, "abc");
  stage.editor.edit({ selection: { anchor: 3, head: 2 } });
  await stage.world.pass(100);
  expect(stage.said()).toEqual(["0: 1-1"]);
});

test("A1 the main range comes first", async () => {
  const stage = await opened("0123456789");
  stage.said();
  const ranges = [1, 4, 8].map((at) => EditorSelection.cursor(at));
  stage.editor.edit({ selection: EditorSelection.create(ranges, 2) });
  await stage.world.pass(100);
  expect(stage.said()).toEqual(["0: 8-8 1-1 4-4"]);
});

test("A1 others see no cursor before the person has come to the editor", async () => {
  const editor = new HeadlessEditor([collaborative, EditorState.allowMultipleSelections.of(true)]);
  const focusable = Object.assign(editor, { hasFocus: false });
  const stage = await opened("0123456789", {}, focusable);
  expect(stage.said()).toEqual(["0:"]);
  focusable.hasFocus = true;
  stage.binding.changed();
  await stage.world.pass(100);
  expect(stage.said()).toEqual(["0: 0-0"]);
  focusable.hasFocus = false;
  editor.edit({ selection: { anchor: 3 } });
  await stage.world.pass(100);
  expect(stage.said()).toEqual(["0: 3-3"]);
});

test("A1 peers are shown where they are in the editor's text", async () => {
  const stage = await opened("0123456789");
  stage.type(2, "abc");
  stage.say(presence([peer("p", 0, [1, 1], [4, 6])]));
  expect(stage.shown()).toEqual(["p: 1-1 7-9"]);
  stage.type(0, "--");
  expect(stage.shown()).toEqual(["p: 3-3 9-11"]);
  stage.say(updates(1, ["p", 1, [1, [0, "xy"], 9]]));
  expect(stage.shown()).toEqual(["p: 5-5 11-13"]);
});

test("A2 the page is told who is here, and when nobody is", async () => {
  const stage = await opened("");
  stage.say(presence([peer("p", 0), peer("q", 0)]));
  stage.say(presence([], ["p"]));
  stage.world.socket.drop();
  expect(stage.peers).toEqual(["P Q", "Q", ""]);
  expect(stage.shown()).toEqual([]);
});

test("a peer that moves is told from one that is moved", async () => {
  const stage = await opened("0123");
  const moves = () => stage.editor.state.field(shownPeers)[0]?.moves;
  stage.say(presence([peer("p", 0, [2, 2])]));
  expect(moves()).toBe(1);
  stage.say(updates(1, ["x", 1, [[0, "--"], 4]]));
  expect(moves()).toBe(1);
  stage.say(updates(2, ["p", 1, [4, [0, "y"], 2]]));
  expect(moves()).toBe(2);
});

test("P5 after a refusal for good, undo brings back nothing that is there already", async () => {
  const stage = await opened("keep this");
  stage.type(4, "", 9);
  stage.say(refused(1, "forbidden"));
  expect(stage.text).toBe("keep this");
  undo({ state: stage.editor.state, dispatch: (tr) => stage.editor.dispatch([tr]) });
  expect(stage.text).toBe("keep this");
  stage.type(0, "now ");
  undo({ state: stage.editor.state, dispatch: (tr) => stage.editor.dispatch([tr]) });
  expect(stage.text).toBe("keep this");
});

test("L2 undoing a paste in pieces over a selection brings back what it replaced, once", async () => {
  const stage = await opened("<old>", { max_message_bytes: 400 });
  stage.type(1, "new ".repeat(200), 4);
  expect(stage.text).toBe(`<${"new ".repeat(200)}>`);
  undo({ state: stage.editor.state, dispatch: (tr) => stage.editor.dispatch([tr]) });
  expect(stage.text).toBe("<old>");
});

import { ChangeSet, type ChangeSpec, EditorState } from "@codemirror/state";
import { expect, test } from "vitest";
import { Random } from "../session/random.ts";
import { cleanChanges } from "../src/binding/clean.ts";

function dispatched(doc: string, changes: ChangeSpec): { changes: string; text: string } {
  const state = EditorState.create({ doc, extensions: cleanChanges });
  const transaction = state.update({ changes });
  return {
    changes: JSON.stringify(transaction.changes),
    text: transaction.newDoc.toString(),
  };
}

test.each<[string, string, unknown[], string]>([
  ["half a pair that makes another", "a😀b", [2, [1, "\ude02"], 1], '[1,[2,"😂"],1]'],
  ["the first half alone", "😀", [[1, "\ud801"], 1], '[[2,"𐘀"]]'],
  ["a half that is deleted", "😀b", [1, [1], 1], "[[2],1]"],
  ["a half that gives way to a letter", "😀b", [1, [1, "x"], 1], '[[2,"x"],1]'],
  ["what is typed into a pair", "😀", [1, [0, "x"], 1], '[[2,"😀x"]]'],
  ["from one pair into the next", "😀😀", [1, [2, "x"], 1], '[[4,"x"]]'],
  ["two changes that meet within a pair", "😀b", [[1, "x"], [1], 1], '[[2,"x"],1]'],
  ["NUL and a carriage return", "", [[0, "a\0b\rc"]], '[[0,"abc"]]'],
  ["halves without the other", "", [[0, "a\ud83db\ude00"]], '[[0,"ab"]]'],
])("T5 widened or cleaned: %s", (_, doc, json, expected) => {
  expect(dispatched(doc, ChangeSet.fromJSON(json)).changes).toBe(expected);
});

test("a change that is clean stays as it is", () => {
  const json = '[1,[2,"😂",""],[0,"x"],1]';
  expect(dispatched("a😀b", ChangeSet.fromJSON(JSON.parse(json))).changes).toBe(json);
});

test("where the cursor was to be, it is", () => {
  const state = EditorState.create({ doc: "😀", extensions: cleanChanges });
  const transaction = state.update({
    changes: { from: 1, to: 2, insert: "\ude02" },
    selection: { anchor: 2 },
    userEvent: "input.type.compose",
  });
  expect(transaction.newSelection.main.anchor).toBe(2);
  expect(transaction.isUserEvent("input.type")).toBe(true);
});

test("T5 whatever is dispatched, no pair is cut", () => {
  const random = new Random(2);
  const pieces = ["a", "😀", "\ud83d", "\ude02", "\0", "\n", "𐐀"];
  for (let round = 0; round < 3_000; round++) {
    const doc = Array.from({ length: 6 }, () => random.pick(["a", "😀", "𐐀", "\n"])).join("");
    const changes = Array.from({ length: 1 + random.below(3) }, () => {
      const [from = 0, to = 0] = [random.below(doc.length), random.below(doc.length)].sort(
        (a, b) => a - b,
      );
      return { from, to: from + random.below(2) * (to - from), insert: random.pick(pieces) };
    });
    const result = dispatched(doc, changes);
    expect(result.text.isWellFormed(), JSON.stringify([doc, changes])).toBe(true);
    let at = 0;
    for (const section of JSON.parse(result.changes) as (number | [number, ...string[]])[]) {
      const [units, ...lines] = typeof section === "number" ? [section] : section;
      expect(
        lines.every((line) => line.isWellFormed()),
        JSON.stringify([doc, changes]),
      ).toBe(true);
      expect(doc.slice(at, at + units).isWellFormed(), JSON.stringify([doc, changes])).toBe(true);
      at += units;
    }
  }
});

import { ChangeSet, EditorState } from "@codemirror/state";
import { expect, test } from "vitest";
import { split } from "../src/binding/split.ts";
import { type Changes, fitting } from "../src/connection/index.ts";
import { LIMITS } from "./support/script.ts";

const SMALL = { ...LIMITS, max_message_bytes: 600, max_sections_per_push: 8 };

function pieces(doc: string, changes: ChangeSet): { pieces: ChangeSet[]; text: string } {
  const found = split(changes, SMALL);
  let { doc: text } = EditorState.create({ doc });
  for (const piece of found) {
    expect(fitting([piece.toJSON() as Changes], (json) => json, SMALL)).toBe(1);
    text = piece.apply(text);
  }
  return { pieces: found, text: text.toString() };
}

test("a long insertion is split between characters, and never within a pair", () => {
  const long = `${"😀".repeat(200)}\n${"x".repeat(300)}\u0001`;
  const changes = ChangeSet.of({ from: 1, to: 3, insert: long }, 4);
  const result = pieces("abcd", changes);
  expect(result.pieces.length).toBe(3);
  expect(result.text).toBe(`a${long}d`);
  for (const piece of result.pieces) expect(JSON.stringify(piece).isWellFormed()).toBe(true);
});

test("many changes at once are split between them", () => {
  const doc = "abc".repeat(50);
  const changes = ChangeSet.of(
    Array.from({ length: 50 }, (_, i) => ({
      from: i * 3,
      to: i * 3 + 1,
      insert: i % 3 ? "X" : "",
    })),
    doc.length,
  );
  const result = pieces(doc, changes);
  expect(result.pieces.length).toBeGreaterThan(10);
  expect(result.text).toBe(changes.apply(EditorState.create({ doc }).doc).toString());
});

test("what fits stays one change", () => {
  const changes = ChangeSet.of({ from: 1, insert: "x" }, 3);
  expect(pieces("abc", changes).pieces.map((piece) => JSON.stringify(piece))).toEqual([
    '[1,[0,"x"],2]',
  ]);
});

import { EditorSelection, EditorState, type Transaction } from "@codemirror/state";
import { expect, test } from "vitest";
import { toggled } from "../src/page/markup.ts";

/** The text with its selection between `|` and `|`, or at the one `|`. */
function after(marked: string, mark: string, readOnly = false): string {
  const [before = "", selected = "", rest] = marked.split("|");
  const end = rest === undefined ? before.length : before.length + selected.length;
  let state = EditorState.create({
    doc: before + selected + (rest ?? ""),
    selection: EditorSelection.range(before.length, end),
    extensions: EditorState.readOnly.of(readOnly),
  });
  toggled(mark)({
    state,
    dispatch: (transaction: Transaction) => {
      state = transaction.state;
    },
  });
  const { from, to } = state.selection.main;
  const text = state.sliceDoc();
  const inside = text.slice(from, to);
  return `${text.slice(0, from)}|${inside}${inside && "|"}${text.slice(to)}`;
}

test.each([
  ["a |word| b", "**", "a **|word|** b"],
  ["a **|word|** b", "**", "a |word| b"],
  ["a |", "*", "a *|*"],
  ["*|*", "*", "|"],
  ["|x|", "`", "`|x|`"],
  ["**|x|**", "*", "***|x|***"],
  ["***|x|***", "*", "**|x|**"],
  ["***|x|***", "**", "*|x|*"],
])("%s with %s becomes %s", (before, mark, expected) => {
  expect(after(before, mark)).toBe(expected);
});

test("a text that one may only read stays as it is", () => {
  expect(after("|x|", "**", true)).toBe("|x|");
});

import { language } from "@codemirror/language";
import { EditorState, Text } from "@codemirror/state";
import { describe, expect, it } from "vitest";
import { markdownWhileItPays, touchesLongParagraph } from "../src/page/markdown.ts";

const PROSE = "Some words in a line.\nAnd some more.\n\n".repeat(20_000);
const DATA = "2026-11-22,17,42,a line of data\n".repeat(2_000);

function open(text: string): EditorState {
  const empty = EditorState.create({ extensions: markdownWhileItPays() });
  return empty.update({ changes: { from: 0, insert: text } }).state;
}

function isMarkdown(state: EditorState): boolean {
  return state.facet(language) !== null;
}

describe("Markdown while it pays", () => {
  it("is there in a long text of short paragraphs", () => {
    expect(PROSE.length).toBeGreaterThan(500_000);
    expect(isMarkdown(open(PROSE))).toBe(true);
  });

  it("gives way where a text has a paragraph without end", () => {
    expect(isMarkdown(open(DATA))).toBe(false);
    expect(isMarkdown(open(PROSE + DATA))).toBe(false);
    expect(isMarkdown(open(`${DATA}\n${PROSE}`))).toBe(false);
    expect(isMarkdown(open("x".repeat(30_000)))).toBe(false);
  });

  it("gives way when a paragraph grows too long, wherever it is typed into", () => {
    for (const at of [0, 9_000, 18_000]) {
      let state = open(`before\n\n${"words and words\n".repeat(1_200)}\nafter`);
      expect(isMarkdown(state)).toBe(true);
      state = state.update({ changes: { from: 8 + at, insert: "more ".repeat(1_000) } }).state;
      expect(isMarkdown(state)).toBe(false);
    }
  });

  it("gives way when two paragraphs become one", () => {
    const half = "words and words\n".repeat(700);
    let state = open(`${half}\n${half}`);
    expect(isMarkdown(state)).toBe(true);
    state = state.update({ changes: { from: half.length, to: half.length + 1 } }).state;
    expect(isMarkdown(state)).toBe(false);
  });

  it("does not come back and forth while somebody types", () => {
    let state = open(DATA);
    state = state.update({ changes: { from: 0, to: state.doc.length, insert: "short" } }).state;
    expect(isMarkdown(state)).toBe(false);
  });

  it("looks at the paragraphs that a change touches and at no other", () => {
    const text = Text.of(`${DATA}\nshort\n\n${DATA}`.split("\n"));
    const short = DATA.length + 1;
    expect(touchesLongParagraph(text, short, short + 5)).toBe(false);
    expect(touchesLongParagraph(text, 5, 5)).toBe(true);
    expect(touchesLongParagraph(text, text.length - 1, text.length)).toBe(true);
    expect(touchesLongParagraph(Text.empty, 0, 0)).toBe(false);
  });
});

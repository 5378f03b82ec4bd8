import { redo, undo } from "@codemirror/commands";
import { type ChangeSpec, Transaction } from "@codemirror/state";
import type { HeadlessEditor } from "../src/binding/index.ts";
import type { Random } from "./random.ts";

/**
 * Types at random, and on purpose where others do.
 *
 * A text is made of *tokens* and of *filler*. Each token is typed once, in one piece, of characters
 * that are nowhere else; it is never deleted, and nobody types into one that he sees. So whatever is
 * concurrent, in the end each is there exactly once. Filler is typed, deleted, replaced, undone and
 * redone.
 */
export class Typist {
  /** What was typed, and is to be there in the end. */
  tokens: string[] = [];
  /** Where it types: another one after a reload. */
  editor: HeadlessEditor;
  #count = 0;
  readonly #number: number;
  readonly #random: Random;

  constructor(editor: HeadlessEditor, number: number, random: Random) {
    this.editor = editor;
    this.#number = number;
    this.#random = random;
  }

  /** One edit, and at times the cursor goes elsewhere. */
  type(): void {
    const random = this.#random;
    if (random.chance(30)) this.#move();
    const what = random.below(100);
    if (what < 40) this.#change([this.#insertion(this.#token())], "token");
    else if (what < 55) this.#change([this.#insertion(this.#filler())]);
    else if (what < 70) this.#change([this.#replacement("")]);
    else if (what < 78) this.#change([this.#replacement(this.#filler())]);
    else if (what < 86) this.#change([this.#replacement(this.#token())], "token");
    else if (what < 92) this.#change([this.#insertion(this.#filler()), this.#replacement("")]);
    else this.#command(random.chance(65) ? undo : redo);
  }

  #move(): void {
    const { length } = this.editor.state.doc;
    const anchor = this.#random.below(length + 1);
    const head = this.#random.chance(60) ? anchor : this.#random.below(length + 1);
    this.editor.edit({ selection: { anchor, head } });
  }

  /** Tokens are kept out of the undo history, or undoing would delete them. */
  #change(changes: ChangeSpec[], kind?: "token"): void {
    const annotations = kind === "token" ? [Transaction.addToHistory.of(false)] : [];
    this.editor.edit({ changes, annotations });
  }

  #command(command: typeof undo): void {
    command({
      state: this.editor.state,
      dispatch: (transaction) => this.editor.dispatch([transaction]),
    });
  }

  #token(): string {
    const token = this.#random.pick(FORMS)(this.#number * TOKENS_EACH + this.#count++);
    this.tokens.push(token);
    return token;
  }

  #filler(): string {
    const length = this.#random.chance(10) ? 40 : 1 + this.#random.below(8);
    return Array.from({ length }, () => this.#random.pick(FILLER)).join("");
  }

  #insertion(insert: string): ChangeSpec {
    const gaps = fillerGaps(this.editor.text);
    const somewhere = this.#within(this.#random.pick(gaps));
    const from = this.#random.pick([0, this.editor.state.doc.length, this.#anchor(), somewhere]);
    return { from, insert };
  }

  /** A stretch of filler, often the first there is, which others replace at the same time. */
  #replacement(insert: string): ChangeSpec {
    const gaps = fillerGaps(this.editor.text).filter(({ text }) => text !== "");
    if (gaps.length === 0) return { from: 0, insert };
    const gap = this.#random.chance(40) ? (gaps[0] as Gap) : this.#random.pick(gaps);
    const ends = [this.#within(gap), this.#within(gap)].sort((a, b) => a - b);
    const [from = gap.from, to = from] = ends;
    return { from, to: Math.min(to, from + 12), insert };
  }

  #anchor(): number {
    return this.editor.text.indexOf(ANCHOR) + ANCHOR.length;
  }

  /** A position in the gap or at its ends, between characters. */
  #within(gap: Gap): number {
    const characters = [...gap.text];
    return (
      gap.from + characters.slice(0, this.#random.below(characters.length + 1)).join("").length
    );
  }
}

/** Where many type at once. Counts as a token. */
export const ANCHOR = "⚓";
const FILLER = [..."abcdefghijklmnopqrstuvwxyz", " ", "\n", "\n", "ł", "中", "😀", "😂"];

/** Of the private use areas: one character, in or above the basic plane, or three in a row. */
const FORMS: readonly ((id: number) => string)[] = [
  (id) => String.fromCodePoint(0xfc000 + id),
  (id) => String.fromCodePoint(id < 0x1900 ? 0xe000 + id : 0xfc000 + id),
  (id) => String.fromCodePoint(0xf0000 + id, 0xf4000 + id, 0xf8000 + id),
];
const TOKEN =
  /[\u{f0000}-\u{f3fff}][\u{f4000}-\u{f7fff}][\u{f8000}-\u{fbfff}]|[\u{fc000}-\u{ffffd}]|[\ue000-\uf8ff]|⚓/gu;
/** As many tokens as one may type, and as many people as the areas have room for. */
export const TOKENS_EACH = 1_000;
export const MOST_TYPISTS = 16;

interface Gap {
  readonly from: number;
  readonly text: string;
}

/** The stretches between tokens, empty ones too. */
function fillerGaps(text: string): Gap[] {
  const gaps: Gap[] = [];
  let from = 0;
  for (const { index, 0: token } of text.matchAll(TOKEN)) {
    gaps.push({ from, text: text.slice(from, index) });
    from = index + token.length;
  }
  gaps.push({ from, text: text.slice(from) });
  return gaps;
}

/** How often each token is in the text. */
export function countTokens(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const [token] of text.matchAll(TOKEN)) counts.set(token, (counts.get(token) ?? 0) + 1);
  return counts;
}

/** One place where two texts differ: `from` to `to` of the old one became `insert`. In UTF-16 units. */
export interface Difference {
  readonly from: number;
  readonly to: number;
  readonly insert: string;
}

/** The most insertions and deletions that a search finds, and the most comparisons it may take. */
const MAX_EDITS = 1_000;
const MAX_COMPARISONS = 20_000_000;

/**
 * The differences between two texts, in order and apart: between two of them at least one
 * character is kept. No surrogate pair is cut.
 *
 * Finds the fewest insertions and deletions of words (Myers, "An O(ND) Difference Algorithm"), or
 * of lines where the former takes too much. Where that does too, all lines between the first and
 * the last that differ are one replacement. By words, since what is carried over is to stay beside
 * the words it was beside: by characters, it would end up within any that share a few letters.
 */
export function diff(before: string, after: string): Difference[] {
  if (before === after) return [];
  const start = commonStart(before, after);
  const end = commonEnd(before, after, start);
  return (
    diffBetween(before, after, start, end, words)?.map((found) => narrowed(before, found)) ??
    diffLines(before, after, start, end)
  );
}

/** Words, and each other character. Where none are written between words, each letter is one. */
function words(text: string): string[] {
  return text.match(WORD) ?? [];
}
const WORD =
  /(?:(?![\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}])[\p{L}\p{M}\p{N}_])+|[\s\S]/gu;

/** By lines: what is common at both ends is so in whole lines too. */
function diffLines(before: string, after: string, start: number, end: number): Difference[] {
  const first = before.slice(0, start).lastIndexOf("\n") + 1;
  const rest = before.indexOf("\n", before.length - end);
  const last = rest < 0 ? 0 : before.length - rest - 1;
  const replacement = {
    from: first,
    to: before.length - last,
    insert: after.slice(first, after.length - last),
  };
  return diffBetween(before, after, first, last, lines) ?? [replacement];
}

function lines(text: string): string[] {
  return text.split(/(?<=\n)/);
}

/** The differences by pieces between the first `start` and the last `end` units, if soon found. */
function diffBetween(
  before: string,
  after: string,
  start: number,
  end: number,
  pieces: (text: string) => string[],
): Difference[] | null {
  const old = pieces(before.slice(start, before.length - end));
  const now = pieces(after.slice(start, after.length - end));
  const rounds = search(old, now);
  return rounds && join(old, now, walkBack(old, now, rounds), start);
}

/** Without what the old and the new piece begin and end with: within one word, each letter counts. */
function narrowed(before: string, { from, to, insert }: Difference): Difference {
  const old = before.slice(from, to);
  const start = commonStart(old, insert);
  const end = commonEnd(old, insert, start);
  return { from: from + start, to: to - end, insert: insert.slice(start, insert.length - end) };
}

function commonStart(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let n = 0;
  while (n < most && a.charCodeAt(n) === b.charCodeAt(n)) n++;
  return n > 0 && isHigh(a.charCodeAt(n - 1)) ? n - 1 : n;
}

/** How much both end with, after their first `start` units. */
function commonEnd(a: string, b: string, start: number): number {
  const most = Math.min(a.length, b.length) - start;
  let n = 0;
  while (n < most && a.charCodeAt(a.length - 1 - n) === b.charCodeAt(b.length - 1 - n)) n++;
  return n > 0 && isLow(a.charCodeAt(a.length - n)) ? n - 1 : n;
}

function isHigh(unit: number): boolean {
  return (unit & 0xfc00) === 0xd800;
}

function isLow(unit: number): boolean {
  return (unit & 0xfc00) === 0xdc00;
}

/**
 * Myers' greedy search. Diagonal k holds the points (x, y) with x - y = k; round d finds how far
 * along each diagonal from -d to d one comes with d edits, and keeps that row for the way back.
 */
function search(a: readonly string[], b: readonly string[]): Int32Array[] | null {
  const rounds: Int32Array[] = [];
  let comparisons = 0;
  for (let d = 0; d <= MAX_EDITS && comparisons <= MAX_COMPARISONS; d++) {
    const row = new Int32Array(2 * d + 1);
    rounds.push(row);
    for (let k = -d; k <= d; k += 2) {
      let x = d === 0 ? 0 : step(rounds[d - 1] as Int32Array, d, k).x;
      let y = x - k;
      while (x < a.length && y < b.length && a[x] === b[y]) {
        x++;
        y++;
        comparisons++;
      }
      row[k + d] = x;
      if (x >= a.length && y >= b.length) return rounds;
    }
  }
  return null;
}

/** The edit that leads from the row of round d - 1 furthest along diagonal k. */
function step(row: Int32Array, d: number, k: number): { x: number; deletes: boolean } {
  // Row d - 1 begins at diagonal 1 - d.
  const above = k < d ? (row[k + d] as number) : -1; // from diagonal k + 1, by an insertion
  const left = k > -d ? (row[k + d - 2] as number) : -1; // from diagonal k - 1, by a deletion
  return left >= above ? { x: left + 1, deletes: true } : { x: above, deletes: false };
}

interface Edit {
  readonly x: number;
  readonly y: number;
  readonly deletes: boolean;
}

/** The edits in order, each at the point where it begins. */
function walkBack(a: readonly string[], b: readonly string[], rounds: Int32Array[]): Edit[] {
  const edits: Edit[] = [];
  let k = a.length - b.length;
  for (let d = rounds.length - 1; d > 0; d--) {
    const { x, deletes } = step(rounds[d - 1] as Int32Array, d, k);
    edits.push(deletes ? { x: x - 1, y: x - k, deletes } : { x, y: x - k - 1, deletes });
    k = deletes ? k - 1 : k + 1;
  }
  return edits.reverse();
}

/** Edits with nothing kept between them are one difference. `a` begins at `start`. */
function join(
  a: readonly string[],
  b: readonly string[],
  edits: readonly Edit[],
  start: number,
): Difference[] {
  const differences: { from: number; to: number; insert: string }[] = [];
  let x = 0; // pieces of `a` gone by, and
  let at = start; // where the next one begins
  let last: (typeof differences)[number] | null = null;
  for (const edit of edits) {
    for (; x < edit.x; x++) {
      at += (a[x] as string).length;
      last = null;
    }
    if (!last) {
      last = { from: at, to: at, insert: "" };
      differences.push(last);
    }
    if (edit.deletes) {
      at += (a[x++] as string).length;
      last.to = at;
    } else {
      last.insert += b[edit.y];
    }
  }
  return differences;
}

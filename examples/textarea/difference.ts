/** Where one text became another: `from` to `to` of the first was replaced by `insert`. */
export interface Difference {
  readonly from: number;
  readonly to: number;
  readonly insert: string;
}

/** The shortest replacement that makes `after` of `before`. It cuts no surrogate pair (T5). */
export function difference(before: string, after: string): Difference {
  const most = Math.min(before.length, after.length);
  let start = 0;
  while (start < most && before[start] === after[start]) start++;
  if (cutsPair(before, start) || cutsPair(after, start)) start--;
  let end = 0;
  while (end < most - start && before.at(-1 - end) === after.at(-1 - end)) end++;
  if (cutsPair(before, before.length - end) || cutsPair(after, after.length - end)) end--;
  return { from: start, to: before.length - end, insert: after.slice(start, after.length - end) };
}

function cutsPair(text: string, at: number): boolean {
  return at > 0 && (text.codePointAt(at - 1) ?? 0) > 0xffff;
}

import type { Changes } from "./wire.ts";

/** A selection: where it was begun, and where its cursor is. Alike: a cursor alone (T1). */
export type Range = readonly [anchor: number, head: number];

/** On which side of what is inserted at a position the position stays. */
export type Side = "before" | "after";

/**
 * Where a position goes: what `ChangeDesc.mapPos` of `@codemirror/state` gives, with -1 for
 * `"before"` and 1 for `"after"`. A position outside the text goes to its end.
 */
export function mapPosition(changes: Changes, position: number, side: Side): number {
  let before = 0;
  let after = 0;
  for (const section of changes) {
    const [kept, deleted, inserted] = measured(section);
    const end = before + kept + deleted;
    if (kept > 0) {
      if (end > position) return after + position - before;
    } else if (end > position || (end === position && side === "before" && deleted === 0)) {
      return position === before || side === "before" ? after : after + inserted;
    }
    before = end;
    after += kept + inserted;
  }
  return after;
}

/**
 * Both ends stay before what is inserted at them, as they do on the server; but a cursor goes along
 * with what is typed at it.
 */
export function mapRange(
  [anchor, head]: Range,
  map: (position: number, side: Side) => number,
  typed: boolean,
): Range {
  const side = typed && anchor === head ? "after" : "before";
  return [map(anchor, side), map(head, side)];
}

export function clamp([anchor, head]: Range, length: number): Range {
  return [Math.min(anchor, length), Math.min(head, length)];
}

/** By how much the text grows, or shrinks. */
export function growth(changes: Changes): number {
  let units = 0;
  for (const section of changes) {
    const [, deleted, inserted] = measured(section);
    units += inserted - deleted;
  }
  return units;
}

/** What a section keeps, deletes and inserts, in units. */
function measured(section: Changes[number]): [kept: number, deleted: number, inserted: number] {
  if (typeof section === "number") return [section, 0, 0];
  let inserted = Math.max(0, section.length - 2);
  for (let i = 1; i < section.length; i++) inserted += (section[i] as string).length;
  return [0, section[0], inserted];
}

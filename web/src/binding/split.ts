import { ChangeSet } from "@codemirror/state";
import { ENVELOPE_BYTES, wireBytes } from "../connection/fit.ts";
import type { Changes, Limits, Section } from "../connection/index.ts";

type PieceLimits = Pick<Limits, "max_message_bytes" | "max_sections_per_push">;

/** What a unit takes on the wire at most: `\u0001`. */
const UNIT_BYTES = 6;
/** What the sections that keep the text around a piece take at most. */
const AROUND_BYTES = 48;

/**
 * The same change as several that each fit into a push: applied one after the other, from the
 * beginning of the text to its end, they make what it makes.
 */
export function split(changes: ChangeSet, limits: PieceLimits): ChangeSet[] {
  const bytes = limits.max_message_bytes - ENVELOPE_BYTES - AROUND_BYTES;
  const pieces = new Pieces(changes.length, bytes, limits.max_sections_per_push);
  for (const section of changes.toJSON() as Changes) {
    if (typeof section === "number") {
      pieces.keep(section);
      continue;
    }
    const [deleted, ...lines] = section;
    const [first = "", ...more] = chunks(lines.join("\n"), Math.floor(bytes / UNIT_BYTES) - 4);
    pieces.replace(deleted, first);
    for (const chunk of more) pieces.replace(0, chunk);
  }
  return pieces.done();
}

/** A text in chunks of at most `units`, none of which ends within a surrogate pair. */
function chunks(text: string, units: number): string[] {
  const found: string[] = [];
  let from = 0;
  while (from < text.length) {
    let to = Math.min(text.length, from + units);
    if (to < text.length && (text.codePointAt(to - 1) as number) > 0xffff) to--;
    found.push(text.slice(from, to));
    from = to;
  }
  return found;
}

/** Fills one piece after the other. What is behind is as the change leaves it; what is ahead, not. */
class Pieces {
  readonly #max_bytes: number;
  readonly #max_sections: number;
  readonly #closed: ChangeSet[] = [];
  #sections: Section[] = [];
  #bytes = 0;
  #behind = 0;
  #ahead: number;
  #changes = false;

  constructor(length: number, max_bytes: number, max_sections: number) {
    this.#ahead = length;
    this.#max_bytes = max_bytes;
    this.#max_sections = max_sections;
  }

  keep(units: number): void {
    this.#append(units);
    this.#behind += units;
    this.#ahead -= units;
  }

  replace(deleted: number, insert: string): void {
    const section: Section = insert ? [deleted, ...insert.split("\n")] : [deleted];
    // One more to keep what is ahead.
    const full =
      this.#sections.length + 2 > this.#max_sections ||
      this.#bytes + wireBytes(section) + 1 > this.#max_bytes;
    if (full && this.#changes) this.#close();
    this.#append(section);
    this.#changes = true;
    this.#behind += insert.length;
    this.#ahead -= deleted;
  }

  done(): ChangeSet[] {
    if (this.#changes) this.#close();
    return this.#closed;
  }

  #append(section: Section): void {
    this.#sections.push(section);
    this.#bytes += wireBytes(section) + 1;
  }

  #close(): void {
    if (this.#ahead > 0) this.#sections.push(this.#ahead);
    this.#closed.push(ChangeSet.fromJSON(joinKept(this.#sections)));
    this.#sections = this.#behind > 0 ? [this.#behind] : [];
    this.#bytes = 0;
    this.#changes = false;
  }
}

function joinKept(sections: readonly Section[]): Section[] {
  const joined: Section[] = [];
  for (const section of sections) {
    const last = joined.at(-1);
    if (typeof section === "number" && typeof last === "number") {
      joined[joined.length - 1] = last + section;
    } else {
      joined.push(section);
    }
  }
  return joined;
}

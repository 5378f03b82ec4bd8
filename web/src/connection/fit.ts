import type { Changes, Limits } from "./wire.ts";

/** What a push carries besides its updates: its type, revision and seq, at their longest. */
export const ENVELOPE_BYTES = 96;

type PushLimits = Pick<
  Limits,
  "max_message_bytes" | "max_updates_per_push" | "max_sections_per_push"
>;

/** How many of the first `updates` fit into one push; 0 where not even the first one does. */
export function fitting<Update>(
  updates: Iterable<Update>,
  toWire: (update: Update) => Changes,
  limits: PushLimits,
): number {
  let bytes = ENVELOPE_BYTES;
  let sections = 0;
  let fit = 0;
  for (const update of updates) {
    const changes = toWire(update);
    bytes += wireBytes(changes) + 1;
    sections += changes.length;
    const over =
      fit >= limits.max_updates_per_push ||
      sections > limits.max_sections_per_push ||
      bytes > limits.max_message_bytes;
    if (over) break;
    fit++;
  }
  return fit;
}

/** The bytes that a value takes on the wire: JSON in UTF-8. */
export function wireBytes(value: unknown): number {
  return utf8.encode(JSON.stringify(value)).length;
}

const utf8 = new TextEncoder();

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** How long a link may hold, as one chooses it. */
export const LIFETIMES = [
  ["", "Never"],
  [String(HOUR_MS), "In an hour"],
  [String(DAY_MS), "In a day"],
  [String(7 * DAY_MS), "In a week"],
  [String(30 * DAY_MS), "In 30 days"],
] as const;

/** When a lifetime that begins now ends, as RFC 3339; `null`: it does not. */
export function endOf(lifetime: string, now: Date): string | null {
  return lifetime === "" ? null : new Date(now.getTime() + Number(lifetime)).toISOString();
}

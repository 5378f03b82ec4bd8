const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** From here on a date says more than a count of days. */
const LONG_AGO_DAYS = 7;

/** How long ago something was, as people say it. A clock that is ahead of ours says "just now". */
export function ago(then: Date, now: Date): string {
  const past_ms = now.getTime() - then.getTime();
  if (past_ms < MINUTE_MS) return "just now";
  if (past_ms < HOUR_MS) return count(past_ms / MINUTE_MS, "minute");
  const days = Math.round((midnight(now) - midnight(then)) / DAY_MS);
  if (days === 0 || past_ms < 6 * HOUR_MS) return count(past_ms / HOUR_MS, "hour");
  if (days === 1) return "yesterday";
  if (days < LONG_AGO_DAYS) return `${days} days ago`;
  return `on ${date(then, now)}`;
}

/** The moment in full. */
export function exactly(then: Date): string {
  return then.toLocaleString("en", { dateStyle: "long", timeStyle: "short" });
}

/** Whole seconds until a time on the same clock, never less than 0. */
export function secondsUntil(until_ms: number, now_ms: number): number {
  return Math.max(0, Math.ceil((until_ms - now_ms) / 1000));
}

/** When something ends or has ended. */
export function untilInWords(until: Date | null, now: Date): string {
  if (until === null) return "does not expire";
  if (until <= now) return "has expired";
  if (until.getTime() - now.getTime() > DAY_MS) return `expires on ${date(until, now)}`;
  const time = until.toLocaleTimeString("en", { hour: "numeric", minute: "2-digit" });
  return `expires at ${time}`;
}

function count(number: number, unit: string): string {
  const whole = Math.floor(number);
  return `${whole} ${unit}${whole === 1 ? "" : "s"} ago`;
}

function midnight(of: Date): number {
  return new Date(of.getFullYear(), of.getMonth(), of.getDate()).getTime();
}

function date(then: Date, now: Date): string {
  const thisYear = then.getFullYear() === now.getFullYear();
  return then.toLocaleDateString("en", {
    day: "numeric",
    month: "long",
    ...(!thisYear && { year: "numeric" }),
  });
}

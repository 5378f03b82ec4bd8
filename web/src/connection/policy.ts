import type { Answer } from "./environment.ts";
import type { StopReason, Why } from "./state.ts";

/** What to do after a connection ended, or a handshake was refused. */
export type Next =
  /** Come back after the backoff, and not before `least_ms`. */
  | { readonly kind: "retry"; readonly why: Why; readonly least_ms: number }
  /** Come back with a new token. */
  | { readonly kind: "renew" }
  /** A newer session of this client ID took over. */
  | { readonly kind: "replaced" }
  | { readonly kind: "stop"; readonly reason: StopReason };

/** What a client that was too fast for too long (4429) waits at least. */
const TOO_FAST_MS = 5_000;

/** The close codes (L3). Any other is a broken connection, like 1006. */
export function afterClose(code: number): Next {
  switch (code) {
    case 4401:
      return { kind: "renew" };
    case 4403:
      return { kind: "stop", reason: "forbidden" };
    case 4404:
      return { kind: "stop", reason: "deleted" };
    case 4409:
      return { kind: "replaced" };
    case 1012:
      return { kind: "retry", why: "restart", least_ms: 0 };
    case 4408:
      return { kind: "retry", why: "silent", least_ms: 0 };
    case 4429:
      return { kind: "retry", why: "busy", least_ms: TOO_FAST_MS };
    default:
      return { kind: "retry", why: "lost", least_ms: 0 };
  }
}

/** Closes after which sending the push in flight again would only end the session again. */
export function blamesPush(code: number): boolean {
  return code === 1009 || code === 4400;
}

/** What `GET /v1/documents/{id}` says about why a handshake was refused (H2). */
export function afterAnswer(answer: Answer): Next {
  switch (answer.status) {
    case 401:
      return { kind: "renew" };
    case 403:
      return { kind: "stop", reason: "forbidden" };
    case 404:
    case 410:
      return { kind: "stop", reason: "not_found" };
    case 429:
    case 503:
      return { kind: "retry", why: "busy", least_ms: retryAfter_ms(answer) };
    default:
      // 200 among them: whatever it was, it has passed or is not for this person to mend.
      return { kind: "retry", why: "lost", least_ms: 0 };
  }
}

/** `Retry-After` in its form of seconds; servers of this protocol send no dates. */
function retryAfter_ms(answer: Answer): number {
  const seconds = Number(answer.headers.get("retry-after") ?? 0);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0;
}

/** Exponential backoff with full jitter: anything from nothing to a ceiling that doubles. */
export interface Backoff {
  readonly first_ms: number;
  readonly ceiling_ms: number;
}

export function backoff_ms(backoff: Backoff, failures: number, random: number): number {
  return random * Math.min(backoff.ceiling_ms, backoff.first_ms * 2 ** Math.min(failures, 30));
}

import { type Backoff, backoff_ms } from "./policy.ts";

/** When the next push may be sent. It outlives sessions, as the server's patience does. */
export class Pace {
  readonly #backoff: Backoff;
  #from_ms = 0;
  /** How many pushes in a row were refused for now. */
  #refusals = 0;

  constructor(backoff: Backoff) {
    this.#backoff = backoff;
  }

  /** How long to wait yet; 0: not at all. */
  left_ms(now_ms: number): number {
    return Math.max(0, this.#from_ms - now_ms);
  }

  sent(now_ms: number, pushes_per_second: number): void {
    this.#notBefore(now_ms + 1000 / pushes_per_second);
  }

  /** What is refused again waits longer, also where the server names a time. */
  refused(now_ms: number, retry_after_ms: number | null, random: number): void {
    const jitter_ms = backoff_ms(this.#backoff, this.#refusals++, random);
    this.#notBefore(now_ms + Math.max(retry_after_ms ?? 0, jitter_ms));
  }

  settled(): void {
    this.#refusals = 0;
  }

  #notBefore(time_ms: number): void {
    this.#from_ms = Math.max(this.#from_ms, time_ms);
  }
}

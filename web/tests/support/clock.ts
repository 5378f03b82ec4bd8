import type { Cancel } from "../../src/connection/index.ts";

interface Timer {
  readonly at: number;
  readonly action: () => void;
}

/** Time that passes only when told to. */
export class Clock {
  #now = 0;
  #timers: Timer[] = [];

  now(): number {
    return this.#now;
  }

  schedule(delay_ms: number, action: () => void): Cancel {
    const timer = { at: this.#now + delay_ms, action };
    // Sorted; of those due at the same time, the first one set comes first.
    const later = this.#timers.findIndex(({ at }) => at > timer.at);
    this.#timers.splice(later < 0 ? this.#timers.length : later, 0, timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Lets `ms` pass: what is due happens in order, with all that follows from it. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await settled();
      const [next] = this.#timers;
      if (!next || next.at > end) break;
      this.#timers.shift();
      this.#now = next.at;
      next.action();
    }
    this.#now = end;
  }
}

/** Promises have run to their end. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

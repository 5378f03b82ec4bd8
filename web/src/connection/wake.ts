import { type Environment, platform } from "./environment.ts";

/** Where a page hears that it may have missed something. */
export interface WakeTargets {
  /** Tells `online` and `pageshow`. */
  readonly window: EventTarget;
  /** Tells `visibilitychange`. */
  readonly document: EventTarget & { readonly visibilityState: string };
}

export type Tick = Pick<Environment, "now" | "schedule">;

/** A timer of `TICK_MS` that is later than this by more than `LATE_MS` has slept, or was kept waiting. */
const TICK_MS = 5_000;
const LATE_MS = 5_000;

/**
 * Calls `wake` when the network is back, when the page is looked at again or comes out of the
 * browser's store of pages, and when the machine has slept. Ends with `signal`.
 */
export function watchWake(
  wake: () => void,
  signal: AbortSignal,
  { window, document }: WakeTargets = globalThis as unknown as WakeTargets,
  clock: Tick = platform,
): void {
  window.addEventListener("online", wake, { signal });
  window.addEventListener("pageshow", wake, { signal });
  document.addEventListener(
    "visibilitychange",
    () => {
      if (document.visibilityState === "visible") wake();
    },
    { signal },
  );
  const watch = () => {
    const due = clock.now() + TICK_MS;
    const cancel = clock.schedule(TICK_MS, () => {
      signal.removeEventListener("abort", cancel);
      if (clock.now() - due > LATE_MS) wake();
      watch();
    });
    signal.addEventListener("abort", cancel);
  };
  if (!signal.aborted) watch();
}

import { type Environment, newClientId, platform } from "../connection/index.ts";
import { Keeper } from "./keeper.ts";
import type { Keep, Kept } from "./store.ts";

/** Whose text, and of which document: what is left behind is found by both. */
export interface Shelf {
  readonly owner: string;
  readonly document: string;
}

export type KeepClock = Pick<Environment, "now" | "schedule">;

/** A page that is loaded again may come before the browser has let go of its locks. */
const LOOK_AGAIN_MS = 100;
const LOOKS = 4;

/**
 * A keeper for an editor that is being opened, which begins with what a former one left behind, if
 * there is such a thing. `null`: nothing can be kept here.
 */
export async function openKeeper(
  keep: Keep | null,
  shelf: Shelf,
  clock: KeepClock = platform,
): Promise<Keeper | null> {
  if (!keep) return null;
  try {
    for (let looks = 1; ; looks++) {
      const found = await look(keep, shelf, clock);
      if (found instanceof Keeper) return found;
      if (found === "none" || looks === LOOKS) break;
      await new Promise<void>((resolve) => {
        clock.schedule(LOOK_AGAIN_MS, resolve);
      });
    }
    // Names sort by age, and say nothing else.
    const name = `${Math.round(clock.now()).toString(36).padStart(9, "0")}-${newClientId()}`;
    const release = await keep.locks.take(name);
    if (!release) return null;
    return new Keeper(keep.store, name, nameOf(shelf), release, null, clock);
  } catch {
    return null;
  }
}

/** A keeper of what an editor left behind that is there no more; `null`: there is none. */
export async function nextOrphan(
  keep: Keep,
  shelf: Shelf,
  clock: KeepClock = platform,
): Promise<Keeper | null> {
  const found = await look(keep, shelf, clock);
  return found instanceof Keeper ? found : null;
}

/** The first record whose lock is free, which then is this one's; or whether others have some. */
async function look(
  { store, locks }: Keep,
  shelf: Shelf,
  clock: KeepClock,
): Promise<Keeper | "taken" | "none"> {
  let taken = false;
  for (const name of await store.names(nameOf(shelf))) {
    const release = await locks.take(name);
    if (!release) {
      taken = true;
      continue;
    }
    const kept = await store.read(name).catch(() => "unreadable" as const);
    if (kept === "unreadable") {
      release(); // nothing is thrown away that may be read by another version
    } else if (kept && !isClean(kept)) {
      return new Keeper(store, name, nameOf(shelf), release, kept, clock);
    } else {
      await store.remove(name).finally(release);
    }
  }
  return taken ? "taken" : "none";
}

function isClean({ unsent, memory }: Kept): boolean {
  return unsent.length === 0 && memory.flight === null;
}

function nameOf({ owner, document }: Shelf): string {
  return `${owner}/${document}`;
}

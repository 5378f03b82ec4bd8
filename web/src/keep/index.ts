/** Unsent text that outlives its page, in IndexedDB. */
export { browserKeep } from "./browser.ts";
export type { Keeper } from "./keeper.ts";
export { MemoryLocks, MemoryStore } from "./memory.ts";
export { nextOrphan, openKeeper, type Shelf } from "./open.ts";
export { type Rescue, rescue } from "./rescue.ts";
export type { Entry, Keep, Kept, Locks, Release, Store } from "./store.ts";

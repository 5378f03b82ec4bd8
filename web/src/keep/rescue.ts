import {
  Binding,
  collaborative,
  HeadlessEditor,
  type Held,
  type Unsent,
} from "../binding/index.ts";
import { type Connection, isGone, type Replica } from "../connection/index.ts";
import type { Keeper } from "./keeper.ts";
import { type KeepClock, nextOrphan, type Shelf } from "./open.ts";
import type { Keep } from "./store.ts";

export interface Rescue {
  readonly keep: Keep;
  readonly shelf: Shelf;
  readonly connect: (replica: Replica, changed: () => void, held: Held) => Connection;
  /** What the server did not take is handed to the person, as an editor's own is. */
  readonly rejected: (unsent: Unsent) => void;
  readonly signal: AbortSignal;
  readonly clock?: KeepClock;
}

/**
 * Sends what editors left behind that are there no more: one after the other, each as the client
 * that it was, so that its push in flight is settled and nothing is sent twice. To the page's own
 * editor it comes as somebody else's. What cannot be sent now stays for another time.
 */
export async function rescue(options: Rescue): Promise<void> {
  const { keep, shelf, clock, signal } = options;
  while (!signal.aborted) {
    const keeper = await nextOrphan(keep, shelf, clock).catch(() => null);
    if (!keeper || !(await send(keeper, options))) return;
  }
}

/** True when all of it is saved. */
async function send(keeper: Keeper, { connect, rejected, signal }: Rescue): Promise<boolean> {
  if (signal.aborted) {
    await keeper.close();
    return false;
  }
  const editor = new HeadlessEditor(collaborative);
  const over = new AbortController();
  const status = () => {
    if (binding.status.saved || binding.status.connection.kind === "stopped") over.abort();
  };
  const binding = new Binding(editor, connect, { status, rejected }, keeper);
  editor.changed = () => binding.changed();
  binding.open();
  await aborted(AbortSignal.any([over.signal, signal]));
  const sent = binding.status.saved;
  if (isGone(binding.status.connection)) binding.giveUp();
  await binding.close();
  return sent;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

import type { Changes, Limits } from "../../src/connection/index.ts";

/** The server's lines, with what a test does not care about filled in. */

export const LIMITS: Limits = {
  max_message_bytes: 65_536,
  max_document_units: 1_000_000,
  max_updates_per_push: 50,
  max_sections_per_push: 1_000,
  pushes_per_second: 1_000,
  max_ranges: 3,
  presence_hz: 10,
  heartbeat_s: 10,
};

/** This client's public name in all tests. */
export const ME = "me";

const WELCOME = {
  type: "welcome",
  protocol: 1,
  client: ME,
  session: "s",
  role: "editor",
  saved: 0,
  limits: LIMITS,
  presence: [],
};

/** Marks are named after their revision: `at(3)` is revision 3 with mark "m3". */
export function at(revision: number): { revision: number; mark: string } {
  return { revision, mark: `m${revision}` };
}

export function fresh(text: string, revision = 0, more: object = {}): object {
  return { ...WELCOME, ...at(revision), head: revision, text, ...more };
}

export function resumed(revision: number, more: object = {}): object {
  return { ...WELCOME, ...at(revision), head: revision, ...more };
}

/** Updates from revision `first` on. */
export function updates(first: number, ...listed: [string, number, Changes][]): object {
  const last = first + listed.length - 1;
  return { type: "updates", revision: first, mark: `m${last}`, updates: listed };
}

export function beat(revision: number, more: object = {}): object {
  return { type: "beat", ...at(revision), saved: 0, ...more };
}

export function saved(revision: number): object {
  return { type: "saved", revision };
}

export function refused(seq: number, code: string, more: object = {}): object {
  return { type: "refused", seq, code, message: code, ...more };
}

/** A peer at `revision`, called after its client. */
export function peer(client: string, revision: number, ...ranges: [number, number][]): object {
  return { client, name: client.toUpperCase(), color: "#2d5bb9", revision, ranges };
}

export function presence(peers: object[], left: string[] = []): object {
  return { type: "presence", peers, left };
}

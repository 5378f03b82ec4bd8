/**
 * The messages of the live protocol (version 1), and the reading of those that the server sends.
 *
 * Names are the wire's own. A message of an unknown type and unknown fields are ignored (P6); a
 * known one that lacks what it must have is a {@link WireError}.
 */

import type { Range } from "./positions.ts";

/** `n` keeps n units; `[n]` deletes n; `[n, line, …]` replaces n by the lines (T3). */
export type Section = number | readonly [deleted: number, ...lines: string[]];

/** One change, as CodeMirror's `ChangeSet` writes itself: sections in order (T3). */
export type Changes = readonly Section[];

export type Role = "owner" | "editor" | "commenter" | "viewer";

/** What became of a push that the handshake named (H7). */
export type Fate = "ordered" | "void";

/** What holds in this session (L1). */
export interface Limits {
  readonly max_message_bytes: number;
  readonly max_document_units: number;
  readonly max_updates_per_push: number;
  readonly max_sections_per_push: number;
  readonly max_ranges: number;
  readonly pushes_per_second: number;
  readonly presence_hz: number;
  readonly heartbeat_s: number;
}

export interface Welcome {
  readonly type: "welcome";
  /** This client's public name. */
  readonly client: string;
  readonly session: string;
  readonly revision: number;
  readonly mark: string;
  readonly head: number;
  readonly saved: number;
  readonly role: Role;
  readonly limits: Limits;
  /** Only on a fresh start or a reset: the text at `revision`. */
  readonly text: string | null;
  /** The resume that was asked for could not be served (H6). */
  readonly reset: boolean;
  /** Only where the handshake named a push. */
  readonly inflight: Fate | null;
  readonly presence: readonly PeerPresence[];
}

export type OrderedUpdate = readonly [client: string, seq: number, changes: Changes];

export interface Updates {
  readonly type: "updates";
  /** The revision that the first update makes. */
  readonly revision: number;
  /** The mark after the last one. */
  readonly mark: string;
  readonly updates: readonly OrderedUpdate[];
}

/** Where a peer's cursors are, in the text of `revision` (A2). */
export interface PeerPresence {
  readonly client: string;
  readonly name: string;
  /** `#rrggbb`. */
  readonly color: string;
  readonly revision: number;
  readonly ranges: readonly Range[];
}

/** What has changed of it. */
export interface Presence {
  readonly type: "presence";
  readonly peers: readonly PeerPresence[];
  readonly left: readonly string[];
}

export interface Beat {
  readonly type: "beat";
  readonly revision: number;
  readonly mark: string;
  readonly saved: number;
  /** CRC-32 of the text at `revision`, where the server sends one (U6). */
  readonly crc: number | null;
}

export interface Refused {
  readonly type: "refused";
  readonly seq: number;
  readonly code: string;
  readonly message: string;
  readonly retry_after_ms: number | null;
}

export type ServerMessage =
  | Welcome
  | Updates
  | Beat
  | Refused
  | Presence
  | { readonly type: "saved"; readonly revision: number }
  | { readonly type: "role"; readonly role: Role }
  | { readonly type: "goodbye"; readonly retry_after_ms: number };

export type ClientMessage =
  | {
      readonly type: "push";
      readonly revision: number;
      readonly seq: number;
      readonly updates: readonly Changes[];
    }
  | { readonly type: "presence"; readonly revision: number; readonly ranges: readonly Range[] }
  | { readonly type: "beat" }
  | { readonly type: "token"; readonly token: string };

/** The server said something that this protocol does not know how to mean. */
export class WireError extends Error {
  override readonly name = "WireError";
}

/** Reads one message; `null` is one of a type that this client does not know. */
export function decode(data: unknown): ServerMessage | null {
  if (typeof data !== "string") throw new WireError("a binary message");
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    throw new WireError("a message that is not JSON");
  }
  const m = fieldsOf(value, "a message");
  switch (m.type) {
    case "welcome":
      return {
        type: "welcome",
        client: string(m, "client"),
        session: string(m, "session"),
        revision: count(m, "revision"),
        mark: string(m, "mark"),
        head: count(m, "head"),
        saved: count(m, "saved"),
        role: role(m),
        limits: limits(m.limits),
        text: m.text === undefined ? null : string(m, "text"),
        reset: m.reset === true,
        inflight: fate(m.inflight),
        presence: list(m.presence, "presence").map(peer),
      };
    case "updates":
      return {
        type: "updates",
        revision: count(m, "revision"),
        mark: string(m, "mark"),
        updates: list(m.updates, "updates").map(orderedUpdate),
      };
    case "beat":
      return {
        type: "beat",
        revision: count(m, "revision"),
        mark: string(m, "mark"),
        saved: count(m, "saved"),
        crc: m.crc === undefined ? null : count(m, "crc"),
      };
    case "saved":
      return { type: "saved", revision: count(m, "revision") };
    case "refused":
      return {
        type: "refused",
        seq: count(m, "seq"),
        code: string(m, "code"),
        message: string(m, "message"),
        retry_after_ms: m.retry_after_ms == null ? null : count(m, "retry_after_ms"),
      };
    case "presence":
      return {
        type: "presence",
        peers: list(m.peers, "peers").map(peer),
        left: list(m.left, "left").map(String),
      };
    case "role":
      return { type: "role", role: role(m) };
    case "goodbye":
      return { type: "goodbye", retry_after_ms: count(m, "retry_after_ms") };
    default:
      return null;
  }
}

type Fields = Record<string, unknown>;

function fieldsOf(value: unknown, what: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new WireError(`${what} that is not an object`);
  }
  return value as Fields;
}

function string(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== "string") throw new WireError(`${name} is not a string`);
  return value;
}

/** A number that counts something: finite and not negative. */
function count(fields: Fields, name: string): number {
  const value = fields[name];
  if (!isCount(value)) throw new WireError(`${name} is not a count`);
  return value;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && value >= 0;
}

function list(value: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new WireError(`${name} is not a list`);
  return value;
}

function role(fields: Fields): Role {
  const value = fields.role;
  if (value === "owner" || value === "editor" || value === "commenter" || value === "viewer") {
    return value;
  }
  throw new WireError("role is none of the roles");
}

function fate(value: unknown): Fate | null {
  if (value == null) return null;
  if (value === "ordered" || value === "void") return value;
  throw new WireError("inflight is neither ordered nor void");
}

function limits(value: unknown): Limits {
  const fields = fieldsOf(value, "limits");
  return {
    max_message_bytes: count(fields, "max_message_bytes"),
    max_document_units: count(fields, "max_document_units"),
    max_updates_per_push: count(fields, "max_updates_per_push"),
    max_sections_per_push: count(fields, "max_sections_per_push"),
    max_ranges: count(fields, "max_ranges"),
    pushes_per_second: count(fields, "pushes_per_second"),
    presence_hz: count(fields, "presence_hz"),
    heartbeat_s: count(fields, "heartbeat_s"),
  };
}

function peer(value: unknown): PeerPresence {
  const fields = fieldsOf(value, "a peer");
  return {
    client: string(fields, "client"),
    name: string(fields, "name"),
    color: color(fields),
    revision: count(fields, "revision"),
    ranges: list(fields.ranges, "ranges").map(range),
  };
}

/** It goes into styles, so it is nothing but what it should be. */
function color(fields: Fields): string {
  const value = string(fields, "color");
  if (!/^#[0-9a-f]{6}$/i.test(value)) throw new WireError("color is not #rrggbb");
  return value;
}

function range(value: unknown): Range {
  const [anchor, head] = list(value, "a range");
  if (!isCount(anchor) || !isCount(head)) throw new WireError("a range that is not [anchor, head]");
  return [anchor, head];
}

/** The changes themselves are for the editor to read: it refuses what it cannot apply. */
function orderedUpdate(value: unknown): OrderedUpdate {
  const [client, seq, changes] = list(value, "an update");
  if (typeof client !== "string" || typeof seq !== "number" || !Array.isArray(changes)) {
    throw new WireError("an update that is not [client, seq, changes]");
  }
  return [client, seq, changes as Changes];
}

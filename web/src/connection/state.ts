import type { Limits, Role } from "./wire.ts";

/** How the connection stands. Each kind has only the fields that hold then. */
export type State =
  | { readonly kind: "idle" }
  | { readonly kind: "connecting"; readonly step: Step }
  | Live
  /** `until`: on the environment's clock, in milliseconds. */
  | { readonly kind: "waiting"; readonly until: number; readonly why: Why }
  | { readonly kind: "stopped"; readonly reason: StopReason };

export interface Live {
  readonly kind: "live";
  /** This client's public name, as others see it. */
  readonly client: string;
  readonly session: string;
  readonly role: Role;
  readonly limits: Limits;
}

/** Getting a token; waiting for the welcome; asking REST why the handshake was refused (H2). */
export type Step = "token" | "handshake" | "reason";

/** Why there is a wait before the next try. */
export type Why =
  /** The connection broke, or the server could not be reached. */
  | "lost"
  /** No beat for two heartbeats (U5). */
  | "silent"
  /** The server restarts, and said when to come back (H9). */
  | "restart"
  /** The server asked for patience: 429, 503, 4429. */
  | "busy"
  /** The confirmed text was not the server's (U6): the next handshake starts fresh. */
  | "diverged";

/** The document is not there for this person: what was not sent never will be. */
export function isGone(state: State): boolean {
  if (state.kind !== "stopped") return false;
  const { reason } = state;
  return reason === "forbidden" || reason === "deleted" || reason === "not_found";
}

/** Why it does not come back by itself. */
export type StopReason =
  /** `close()` was called. */
  | "closed"
  /** No token is to be had for this person. */
  | "unauthorized"
  /** 403, or 4403: no access to this document. */
  | "forbidden"
  /** 4404: the document was deleted. */
  | "deleted"
  /** 404: there is no such document, or none that this person has access to. */
  | "not_found"
  /** 4409: a newer session of this client ID, which was not ours. */
  | "replaced";

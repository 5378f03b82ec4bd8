/**
 * The live protocol's client, for any editor: no editor and no DOM in it.
 *
 * An editor's side implements {@link Replica}; a {@link Connection} keeps it in step.
 */
export { Connection, type ConnectionOptions } from "./connection.ts";
export { crc32 } from "./crc32.ts";
export type { Answer, Cancel, Environment, Socket, SocketEvents } from "./environment.ts";
export { platform } from "./environment.ts";
export { fitting } from "./fit.ts";
export { newClientId } from "./identity.ts";
export type { Memory } from "./ledger.ts";
export type { Peer } from "./peers.ts";
export type { Backoff } from "./policy.ts";
export { mapPosition, mapRange, type Range, type Side } from "./positions.ts";
export { ACCESS_LOST, type Received, type Rejection, type Replica } from "./replica.ts";
export { isGone, type State, type Step, type StopReason, type Why } from "./state.ts";
export { Denied, type TokenSource } from "./tokens.ts";
export { type Tick, type WakeTargets, watchWake } from "./wake.ts";
export type { Changes, Limits, Role, Section } from "./wire.ts";

import type { Role } from "../connection/index.ts";
import type { GivenRole } from "./sharing.ts";

/** What the roles are called. */
export const ROLES: Readonly<Record<Role, string>> = {
  owner: "Owner",
  editor: "Editor",
  commenter: "Commenter",
  viewer: "Viewer",
};

/** The roles that may be given, to choose from. */
export const GIVEN: readonly (readonly [GivenRole, string])[] = [
  ["viewer", ROLES.viewer],
  ["commenter", ROLES.commenter],
  ["editor", ROLES.editor],
];

/** How what is done in a dialog is told in it. */
export interface Telling {
  tell(words: string): void;
  /** Tells why, where `action` fails. */
  run<Result>(
    action: () => Promise<Result>,
    done: (result: Result) => void,
    failed?: () => void,
  ): void;
}

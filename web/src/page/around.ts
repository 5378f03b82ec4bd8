import type { Account } from "./account.ts";
import type { Documents } from "./documents.ts";
import type { Notices } from "./notices.ts";
import type { Rest } from "./rest.ts";

/** What every view has around it. */
export interface Around {
  readonly account: Account;
  readonly rest: Rest;
  readonly documents: Documents;
  readonly notices: Notices;
  /** What is in the page may be left; see `View`. */
  mayLeave(): boolean;
  /** Somebody else is at the page: nothing of whoever was there before stays in it. */
  begunAnew(): void;
}

/** What is in the page at a time: the list, or a document. */
export interface View {
  /** False if something would be lost and the person would rather stay. */
  mayLeave(): boolean;
  leave(): void;
}

/** Opens a document, or the list. */
export function go(id: string): void {
  location.hash = id;
}

/** The address of a document, to send to somebody. */
export function addressOf(id: string): string {
  return `${location.origin}/#${id}`;
}

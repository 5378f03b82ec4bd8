import type { Status } from "../binding/index.ts";
import type { StopReason, Why } from "../connection/index.ts";

/** What the status line says: how the connection stands, and whether all is saved. */
export function inWords({ connection, saved }: Status): string {
  switch (connection.kind) {
    case "idle":
    case "connecting":
      return `Connecting… ${saved ? "" : UNSAVED}`.trim();
    case "live":
      return saved ? "Connected. Saved." : "Connected. Saving…";
    case "waiting":
      return `${WHY[connection.why]} Trying again. ${saved ? "All is saved." : UNSAVED}`;
    case "stopped":
      return `${REASON[connection.reason]} ${saved ? "" : UNSAVED}`.trim();
  }
}

const UNSAVED = "What you typed last is not saved yet.";

const WHY: Readonly<Record<Why, string>> = {
  lost: "No connection.",
  silent: "No answer.",
  restart: "The server is restarting.",
  busy: "The server is busy.",
  diverged: "Loading the text anew.",
};

const REASON: Readonly<Record<StopReason, string>> = {
  closed: "Closed.",
  unauthorized: "This server does not let you in.",
  forbidden: "You have no access to this document.",
  not_found: "This document does not exist, or not any more.",
  replaced:
    "This document was opened elsewhere under the same name. Reload the page to go on here.",
};

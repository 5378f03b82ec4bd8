import type { Status } from "../binding/index.ts";
import { ACCESS_LOST, type Rejection, type StopReason, type Why } from "../connection/index.ts";

/** What is wrong, and what it means for the person. */
interface Explained {
  readonly what: string;
  readonly so: string;
}

/** How loudly a state speaks: all is well; in between; cut off for now; not without the person. */
export type Tone = "calm" | "busy" | "cut" | "stopped";

export interface Words {
  readonly tone: Tone;
  /** Two or three, beside the title. */
  readonly short: string;
  readonly trouble: Explained | null;
}

/**
 * What the page says: how the connection stands, and whether all is saved (S2). `cut` is why the
 * last session ended, if there was one since which none came: a new try is not good news yet.
 * `offered`: what was not taken is in the page, to be copied or saved apart.
 */
export function inWords(status: Status, online: boolean, cut: Why | null, offered: boolean): Words {
  const { connection, saved } = status;
  switch (connection.kind) {
    case "live":
      return { tone: "calm", short: saved ? "Saved" : "Saving…", trouble: null };
    case "idle":
    case "connecting":
      if (cut === null) return { tone: "busy", short: "Connecting…", trouble: null };
      return cutOff(cut, status, online);
    case "waiting":
      return cutOff(connection.why, status, online);
    case "stopped": {
      // The page closes it only to leave, or to open it again.
      if (connection.reason === "closed")
        return { tone: "busy", short: "Connecting…", trouble: null };
      return stopped(connection.reason, status, offered);
    }
  }
}

function stopped(
  reason: Exclude<StopReason, "closed">,
  { saved, kept }: Status,
  offered: boolean,
): Words {
  const { what, so } = STOPPED[reason];
  const words = (short: string, ...sentences: string[]): Words => ({
    tone: "stopped",
    short,
    trouble: { what, so: sentences.join(" ") },
  });
  if (offered) return words("Not saved", BELOW, so);
  if (saved) return words("Stopped", so);
  if (reason === "unauthorized" && kept) return words("Not saved", so, KEPT_UNTIL);
  return words("Not saved", COPY_FIRST, so);
}

function cutOff(why: Why, { saved, kept }: Status, online: boolean): Words {
  const so = `${saved ? GO_ON : NOT_SAVED} ${kept ? KEPT : UNKEPT}`;
  return {
    tone: "cut",
    short: saved ? (online ? "Reconnecting…" : "Offline") : "Not saved yet",
    trouble: { what: online ? WHY[why] : "You are offline.", so },
  };
}

const GO_ON = "All is saved so far, and you can go on writing.";
const NOT_SAVED = "Your last changes are not saved yet.";
const KEPT = "What you type is kept on this device until it is sent.";
const UNKEPT = "Keep this page open until what you type is sent.";
const BELOW = "What you typed and was not taken is below: copy it, or save it.";
const KEPT_UNTIL = "What you typed is kept on this device, and is sent then.";
const COPY_FIRST = "Your last changes are not saved: copy your text first.";

const WHY: Readonly<Record<Why, string>> = {
  lost: "The connection is lost.",
  silent: "The server does not answer.",
  restart: "The server is restarting.",
  busy: "The server is busy.",
  diverged: "The text is being loaded anew.",
};

const STOPPED: Readonly<Record<Exclude<StopReason, "closed">, Explained>> = {
  unauthorized: {
    what: "You are signed out.",
    so: "Sign in to go on.",
  },
  forbidden: {
    what: "You have no access to this document any more.",
    so: "Ask its owner for access, then reload the page.",
  },
  deleted: {
    what: "This document was deleted.",
    so: "Its owner did so, for everybody.",
  },
  not_found: {
    what: "There is no such document, or you have no access to it.",
    so: "Ask whoever sent you its address, or sign in as somebody who has access.",
  },
  replaced: {
    what: "This document was opened in another tab that took over from this one.",
    so: "Go on there, or reload the page to go on here.",
  },
};

/** Why a text was not taken, and what that means. */
export function refusalInWords({ code, message }: Rejection): Explained {
  const here = "Nothing is lost: here is what you wrote.";
  switch (code) {
    case "forbidden":
      return {
        what: "Your last changes were not taken",
        so: `You may read this document, and not write in it any more. ${here}`,
      };
    case ACCESS_LOST:
      return {
        what: "Your last changes may not have arrived",
        so: `You lost access before the server said that it has them. ${here}`,
      };
    default:
      return {
        what: "Your last changes were not taken",
        so: `The server says: ${message}. ${here}`,
      };
  }
}

/** How many documents were found, for the line above them. */
export function countInWords(shown: number, more: boolean, query: string): string {
  const found = `${shown}${more ? "+" : ""} ${shown === 1 ? "document" : "documents"}`;
  return query ? `${shown === 0 ? "Nothing" : found} found for “${query}”` : found;
}

/** How many people are in a document now. */
export function editorsInWords(editors: number): string {
  return editors === 1 ? "1 person here now" : `${editors} people here now`;
}

/** Up to two letters that stand for a name. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const last = words.length > 1 ? words.at(-1) : undefined;
  const letters = [words[0], last].map((word) => firstLetter(word ?? ""));
  return letters.join("").toUpperCase() || "?";
}

/** A person may be called 👩‍🚀: that is one letter here. */
function firstLetter(word: string): string {
  const [first] = new Intl.Segmenter("en", { granularity: "grapheme" }).segment(word);
  return first?.segment ?? "";
}

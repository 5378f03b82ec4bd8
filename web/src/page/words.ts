import type { Status } from "../binding/index.ts";
import type { StopReason, Why } from "../connection/index.ts";

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
 */
export function inWords(status: Status, online: boolean, cut: Why | null): Words {
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
      const { what, so } = STOPPED[connection.reason];
      return {
        tone: "stopped",
        short: saved ? "Stopped" : "Not saved",
        trouble: { what, so: saved ? so : `${COPY_FIRST} ${so}` },
      };
    }
  }
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
    what: "This server does not let you in.",
    so: "Ask those who run it for access, then reload the page.",
  },
  forbidden: {
    what: "You have no access to this document.",
    so: "Ask its owner for access, then reload the page.",
  },
  not_found: {
    what: "There is no such document, or not any more.",
    so: "It may have been deleted, or the link is not complete.",
  },
  deleted: {
    what: "This document was deleted.",
    so: "Its owner did so, for everybody.",
  },
  replaced: {
    what: "This document was opened in another tab that took over from this one.",
    so: "Go on there, or reload the page to go on here.",
  },
};

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

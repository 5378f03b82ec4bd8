import type { Role } from "../connection/index.ts";
import type { Rest, Sending } from "./rest.ts";

/** A role that may be given to anyone, or by a link. */
export type GivenRole = Exclude<Role, "owner">;

export interface Member {
  readonly user: { readonly id: string; readonly name: string; readonly username: string | null };
  readonly role: Role;
  /** RFC 3339; `null`: for good. */
  readonly until: string | null;
  /** The link that they came by. */
  readonly link: string | null;
}

export interface Link {
  readonly id: string;
  readonly role: GivenRole;
  /** What makes the address; a server may show it only once. */
  readonly secret?: string;
  readonly has_password: boolean;
  /** RFC 3339; `null`: never. */
  readonly expires_at: string | null;
  /** How many came by it. */
  readonly uses: number;
}

export interface NewLink {
  readonly role: GivenRole;
  readonly expires_at: string | null;
  readonly password: string | null;
}

export interface Some<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
}

/** At most as many as the server has of a document. */
const MAX_LINKS = 100;

/** Who may do what in one document, and how that is changed. */
export class Sharing {
  readonly #rest: Rest;
  readonly #path: string;

  constructor(rest: Rest, document: string) {
    this.#rest = rest;
    this.#path = `/v1/documents/${encodeURIComponent(document)}`;
  }

  async members(cursor: string | null): Promise<Some<Member>> {
    const parameters = new URLSearchParams({ limit: "50", ...(cursor && { cursor }) });
    return (await this.#ask("GET", `/members?${parameters}`)).json();
  }

  /** `user`: an ID, or a username with an @ before it. */
  async give(user: string, role: Role): Promise<Member> {
    const body = { role };
    return (await this.#ask("PUT", `/members/${encodeURIComponent(user)}`, { body })).json();
  }

  /** Also for oneself, which is leaving. */
  async remove(user: string): Promise<void> {
    await this.#ask("DELETE", `/members/${encodeURIComponent(user)}`);
  }

  /** What whoever knows the address may do; `null`: nothing. */
  async anyone(): Promise<GivenRole | null> {
    const answer = (await (await this.#ask("GET", "/access")).json()) as {
      anyone: GivenRole | null;
    };
    return answer.anyone;
  }

  async giveAnyone(anyone: GivenRole | null): Promise<void> {
    await this.#ask("PUT", "/access", { body: { anyone } });
  }

  /** The newest first. */
  async links(): Promise<readonly Link[]> {
    const some = (await (await this.#ask("GET", `/links?limit=${MAX_LINKS}`)).json()) as Some<Link>;
    return [...some.items].reverse();
  }

  async makeLink(body: NewLink): Promise<Link> {
    return (await this.#ask("POST", "/links", { body })).json();
  }

  async revoke(link: string): Promise<void> {
    await this.#ask("DELETE", `/links/${encodeURIComponent(link)}`);
  }

  #ask(method: string, where: string, sending?: Sending): Promise<Response> {
    return this.#rest.ask(method, this.#path + where, sending);
  }
}

const LINK = "link=";

/** The address that a link's secret makes. The server never hears of what stands after the #. */
export function addressOfLink(secret: string): string {
  return `${location.origin}/#${LINK}${secret}`;
}

/** The secret in a fragment, if there is one: no document's ID has an equals sign. */
export function secretIn(fragment: string): string | null {
  return fragment.startsWith(LINK) ? fragment.slice(LINK.length) : null;
}

/** What of a document's sharing somebody may see and do. */
export interface Rights {
  readonly shares: boolean;
  readonly seesMembers: boolean;
  readonly leaves: boolean;
}

export function rightsOf(role: Role): Rights {
  return {
    shares: role === "owner",
    seesMembers: role === "owner" || role === "editor",
    leaves: role !== "owner",
  };
}

/** Those who may write in the text, and name the document. */
export function writes(role: Role): boolean {
  return role === "owner" || role === "editor";
}

/** What was typed for a person, as the server wants it. */
export function usernameIn(typed: string): string {
  const name = typed.trim().replace(/^@/, "");
  return `@${name.toLowerCase()}`;
}

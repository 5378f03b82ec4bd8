import type { Role } from "../connection/index.ts";
import type { Account } from "./account.ts";
import { askWhether } from "./dialog.ts";
import { button, choice, element, iconButton } from "./element.ts";
import { GIVEN, ROLES, type Telling } from "./roles.ts";
import { type Member, type Sharing, usernameIn } from "./sharing.ts";
import { untilInWords } from "./time.ts";
import { initials } from "./words.ts";

const MAX_USERNAME_UNITS = 65;

export interface PeopleSection {
  readonly section: HTMLElement;
  /** Who is in it may be others now. */
  reload(): void;
}

/** Who has the document by name or by a link; and, for who `shares` it, others to be added. */
export function peopleSection(
  sharing: Sharing,
  account: Account,
  shares: boolean,
  telling: Telling,
): PeopleSection {
  const people = new PeopleWithAccess(sharing, account, shares, telling);
  const section = element(
    "section",
    { "aria-labelledby": "share-people" },
    element("h3", { id: "share-people" }, "People"),
    ...(shares ? [people.form] : []),
    people.list,
    people.more,
  );
  return { section, reload: () => people.reload() };
}

class PeopleWithAccess {
  readonly list = element("ul");
  readonly more = button("Show more", () => this.#load());
  readonly form: HTMLElement;
  readonly #sharing: Sharing;
  readonly #account: Account;
  readonly #shares: boolean;
  readonly #telling: Telling;
  #members: readonly Member[] = [];
  #next: string | null = null;
  #me = "";

  constructor(sharing: Sharing, account: Account, shares: boolean, telling: Telling) {
    this.#sharing = sharing;
    this.#account = account;
    this.#shares = shares;
    this.#telling = telling;
    this.form = this.#adding();
    this.more.hidden = true;
    this.#load();
  }

  #load(): void {
    this.#telling.run(
      async () => {
        this.#me = await this.#account.user();
        return this.#sharing.members(this.#next);
      },
      ({ items, next }) => {
        const known = new Set(items.map(({ user }) => user.id));
        this.#members = [...this.#members.filter(({ user }) => !known.has(user.id)), ...items];
        this.#next = next;
        this.#show();
      },
    );
  }

  reload(): void {
    this.#members = [];
    this.#next = null;
    this.#load();
  }

  #show(): void {
    this.list.replaceChildren(...this.#members.map((member) => this.#row(member)));
    this.more.hidden = this.#next === null;
  }

  #row(member: Member): HTMLElement {
    const { user, role } = member;
    const changes = this.#shares && role !== "owner";
    return element(
      "li",
      {},
      element("span", { class: "avatar", "aria-hidden": "true" }, initials(user.name)),
      element(
        "span",
        { class: "what" },
        element("span", { class: "name" }, user.id === this.#me ? `${user.name} (you)` : user.name),
        element("span", { class: "about" }, about(member)),
      ),
      ...(changes ? this.#changing(member) : [element("span", { class: "role" }, ROLES[role])]),
    );
  }

  #changing({ user, role }: Member): HTMLElement[] {
    const options = [...GIVEN, ["owner", "Owner…"]] as const;
    const field = choice(options, role, { "aria-label": `Role of ${user.name}` });
    const back = () => {
      field.value = role;
    };
    field.addEventListener("change", () => {
      const wanted = field.value as Role;
      if (wanted === "owner") {
        back();
        void this.#handOver(user);
      } else {
        this.#give(user.id, wanted, back);
      }
    });
    const remove = iconButton("close", `Remove ${user.name}`, () => {
      this.#telling.run(
        () => this.#sharing.remove(user.id),
        () => {
          this.#members = this.#members.filter((other) => other.user.id !== user.id);
          this.#show();
          this.#telling.tell(`${user.name} is removed.`);
        },
      );
    });
    return [field, remove];
  }

  #give(user: string, role: Role, failed?: () => void): void {
    this.#telling.run(
      () => this.#sharing.give(user, role),
      (member) => {
        const there = this.#members.some((other) => other.user.id === member.user.id);
        this.#members = there
          ? this.#members.map((other) => (other.user.id === member.user.id ? member : other))
          : [...this.#members, member];
        this.#show();
        this.#telling.tell(`${member.user.name}: ${ROLES[member.role]}.`);
      },
      failed,
    );
  }

  async #handOver({ id, name }: Member["user"]): Promise<void> {
    const sure = await askWhether(
      `Hand it over to ${name}?`,
      "The document is theirs from then on: they say who may do what, and you are an editor.",
      "Hand it over",
    );
    if (!sure) return;
    this.#telling.run(
      () => this.#sharing.give(id, "owner"),
      () => {
        this.reload();
        this.#telling.tell(`${name} owns the document now.`);
      },
    );
  }

  #adding(): HTMLElement {
    const name = element("input", {
      id: "share-username",
      type: "text",
      required: "",
      pattern: "\\s*@?[A-Za-z0-9._@+\\-]+\\s*",
      maxlength: String(MAX_USERNAME_UNITS),
      placeholder: "@username",
      autocomplete: "off",
      autocapitalize: "none",
      spellcheck: "false",
      "aria-describedby": "share-adding",
    });
    const role = choice(GIVEN, "editor", { "aria-label": "Their role" });
    const form = element(
      "form",
      { method: "dialog", class: "adding" },
      element("label", { for: name.id }, "Add somebody"),
      element(
        "div",
        { class: "line" },
        name,
        role,
        element("button", { type: "submit", class: "primary" }, "Add"),
      ),
      element(
        "p",
        { id: "share-adding", class: "hint" },
        "By their username. Guests have none: send them a link.",
      ),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const wanted = usernameIn(name.value);
      if (this.#isMe(wanted)) this.#telling.tell("That is you.");
      else {
        this.#give(wanted, role.value as Role, () => {
          // To be put right: it is a slip most often.
          name.value ||= wanted;
        });
        name.value = "";
        name.focus();
      }
    });
    return form;
  }

  #isMe(username: string): boolean {
    return username === `@${this.#account.username}`;
  }
}

function about({ user, link, until }: Member): string {
  const parts = [
    user.username === null ? "Guest" : `@${user.username}`,
    ...(link === null ? [] : ["came by a link"]),
    ...(until === null ? [] : [untilInWords(new Date(until), new Date())]),
  ];
  return parts.join(" · ");
}

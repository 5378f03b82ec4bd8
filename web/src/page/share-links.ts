import { button, choice, copyButton, element, unseen } from "./element.ts";
import { endOf, LIFETIMES } from "./lifetimes.ts";
import { GIVEN, ROLES, type Telling } from "./roles.ts";
import { addressOfLink, type GivenRole, type Link, type Sharing } from "./sharing.ts";
import { untilInWords } from "./time.ts";

const MAX_PASSWORD = 256;

/**
 * Share links: those that there are, and new ones. `revoked` is called when one was taken back, and
 * with it the role of all who came by it.
 */
export function linksSection(sharing: Sharing, telling: Telling, revoked: () => void): HTMLElement {
  const links = new Links(sharing, telling, revoked);
  return element(
    "section",
    { "aria-labelledby": "share-links" },
    element("h3", { id: "share-links" }, "Links"),
    links.list,
    links.form,
  );
}

class Links {
  readonly list = element("ul");
  readonly form: HTMLElement;
  readonly #sharing: Sharing;
  readonly #telling: Telling;
  readonly #revoked: () => void;
  #links: readonly Link[] = [];

  constructor(sharing: Sharing, telling: Telling, revoked: () => void) {
    this.#sharing = sharing;
    this.#telling = telling;
    this.#revoked = revoked;
    this.form = this.#making();
    telling.run(
      () => sharing.links(),
      (links) => this.#show(links),
    );
  }

  #show(links: readonly Link[]): void {
    this.#links = links;
    this.list.replaceChildren(...links.map((link) => this.#row(link)));
  }

  #row(link: Link): HTMLElement {
    const { id, role, secret } = link;
    const revoke = button("Revoke", () => {
      this.#telling.run(
        () => this.#sharing.revoke(id),
        () => {
          this.#show(this.#links.filter((other) => other.id !== id));
          this.#telling.tell("The link is revoked. Whoever came by it has what it gave no more.");
          this.#revoked();
        },
      );
    });
    revoke.append(unseen(` this link for ${role}s`));
    return element(
      "li",
      { "data-link": id },
      element(
        "span",
        { class: "what" },
        element("span", { class: "name" }, ROLES[role]),
        element("span", { class: "about" }, about(link)),
      ),
      ...(secret === undefined ? [] : [copyButton("Copy link", () => addressOfLink(secret))]),
      revoke,
    );
  }

  #making(): HTMLElement {
    const role = choice(GIVEN, "viewer", { id: "link-role" });
    const expires = choice(LIFETIMES, "", { id: "link-expires" });
    const password = element("input", {
      id: "link-password",
      type: "text",
      maxlength: String(MAX_PASSWORD),
      placeholder: "None",
      autocomplete: "off",
      autocapitalize: "none",
      spellcheck: "false",
    });
    const form = element(
      "form",
      { method: "dialog", class: "making" },
      field("Role", role),
      field("Expires", expires),
      field("Password", password),
      element("button", { type: "submit" }, "Make a link"),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const wanted = {
        role: role.value as GivenRole,
        expires_at: endOf(expires.value, new Date()),
        password: password.value || null,
      };
      this.#telling.run(
        () => this.#sharing.makeLink(wanted),
        (link) => {
          password.value = "";
          this.#show([link, ...this.#links]);
          this.list.querySelector("button")?.focus();
          this.#telling.tell("Here is the link: copy it, and send it to whom it is for.");
        },
      );
    });
    return form;
  }
}

function about({ expires_at, has_password, uses }: Link): string {
  const until = untilInWords(expires_at === null ? null : new Date(expires_at), new Date());
  return [until, ...(has_password ? ["with a password"] : []), usedInWords(uses)].join(" · ");
}

function usedInWords(uses: number): string {
  if (uses === 0) return "not used yet";
  return uses === 1 ? "used once" : `used ${uses} times`;
}

function field(label: string, input: HTMLElement): HTMLElement {
  return element("div", { class: "field" }, element("label", { for: input.id }, label), input);
}

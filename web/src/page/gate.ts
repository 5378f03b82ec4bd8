import { type Around, go, type View } from "./around.ts";
import { button, element } from "./element.ts";
import { enter } from "./entrance.ts";
import { askForm } from "./form.ts";
import { nameButton } from "./person.ts";
import { Problem, why } from "./rest.ts";

/** Whoever comes by a share link: asks for its password, if it has one, and opens the document. */
export class Gate implements View {
  readonly #around: Around;
  readonly #secret: string;
  readonly #what = element("h1", {}, "Opening the link…");
  readonly #so = element("p");
  readonly #choices = element("div", { class: "choices" });
  #left = false;

  constructor(place: HTMLElement, secret: string, around: Around) {
    this.#around = around;
    this.#secret = secret;
    document.title = "Collab";
    place.replaceChildren(
      element(
        "header",
        { class: "bar" },
        element("span", { class: "brand" }, "Collab"),
        nameButton(around, () => {}),
      ),
      element(
        "main",
        { id: "main", class: "gate", tabindex: "-1", "aria-live": "polite" },
        this.#what,
        this.#so,
        this.#choices,
      ),
    );
    void this.#open();
  }

  mayLeave(): boolean {
    return true;
  }

  leave(): void {
    this.#left = true;
  }

  async #open(): Promise<void> {
    this.#explain("Opening the link…", "");
    try {
      await this.#come(null);
    } catch (error) {
      if (error instanceof Problem && error.code === "password_needed") await this.#askPassword();
      else if (error instanceof Problem && error.status === 404) this.#gone();
      else this.#explain("The link was not opened.", why(error), [this.#again]);
    }
  }

  async #come(password: string | null): Promise<void> {
    const { id } = await this.#around.documents.comeBy(this.#secret, password);
    if (this.#left) return;
    // The secret stays neither in the address nor in the history.
    location.replace(`#${id}`);
  }

  async #askPassword(): Promise<void> {
    const done = await askForm({
      heading: "This link has a password",
      explanation: "Whoever sent you the link knows it.",
      fields: [
        {
          name: "link-password",
          label: "Password of the link",
          type: "password",
          autocomplete: "off",
        },
      ],
      action: "Open",
      submit: (filled) => this.#come(filled["link-password"] ?? ""),
      explain: (error) =>
        error instanceof Problem && error.code === "wrong_password"
          ? "That is not the password of this link."
          : why(error),
    });
    if (done !== "done") {
      this.#explain("This link has a password.", "Without it, it does not open.", [this.#again]);
    }
  }

  #gone(): void {
    this.#explain(
      "This link does not work, or not any more.",
      "It may have expired or been revoked, or you were removed from its document. Ask whoever " +
        "sent it for another one.",
      [this.#signIn],
    );
  }

  #explain(what: string, so: string, choices: readonly HTMLElement[] = []): void {
    if (this.#left) return;
    this.#what.textContent = what;
    this.#so.textContent = so;
    const all = button("All documents", () => go(""));
    this.#choices.replaceChildren(...(choices.length > 0 ? [all, ...choices] : []));
  }

  get #again(): HTMLElement {
    return button("Try again", () => void this.#open(), { class: "primary" });
  }

  get #signIn(): HTMLElement {
    const { username } = this.#around.account;
    const label = username === null ? "Sign in" : "Sign in as somebody else";
    return button(label, () => void enter(this.#around, "sign in"));
  }
}

import type { Role } from "../connection/index.ts";
import { type Around, addressOf } from "./around.ts";
import { askWhether, openDialog } from "./dialog.ts";
import { button, choice, copyButton, element } from "./element.ts";
import { icon } from "./icons.ts";
import { why } from "./rest.ts";
import { GIVEN, ROLES, type Telling } from "./roles.ts";
import { linksSection } from "./share-links.ts";
import { peopleSection } from "./share-people.ts";
import { type GivenRole, rightsOf, Sharing } from "./sharing.ts";

export interface ShareEvents {
  /** The person has left the document for good. */
  left(): void;
}

/** Who has the document and what they may do: a button, and the dialog that it opens. */
export class Share {
  readonly button: HTMLButtonElement;
  readonly #around: Around;
  readonly #id: string;
  readonly #sharing: Sharing;
  readonly #events: ShareEvents;
  readonly #sections = element("div", { class: "sections" });
  readonly #told = element("p", { class: "told", role: "status" });
  readonly #leave = button("Leave this document", () => void this.#askToLeave());
  #dialog: HTMLDialogElement | null = null;
  #role: Role | null = null;

  constructor(around: Around, id: string, events: ShareEvents) {
    this.#around = around;
    this.#id = id;
    this.#sharing = new Sharing(around.rest, id);
    this.#events = events;
    this.button = button("", () => this.#open(), { class: "share", "aria-haspopup": "dialog" });
    this.button.append(icon("share"), element("span", {}, "Share"));
    this.button.disabled = true;
  }

  /** What the person may do here; it may change while the dialog is open. */
  set role(role: Role) {
    this.button.disabled = false;
    if (role === this.#role) return;
    this.#role = role;
    if (this.#dialog) this.#show();
  }

  /** The document is not there any more, for this person. */
  close(): void {
    this.button.disabled = true;
    this.#dialog?.close();
  }

  #open(): void {
    if (this.#role === null || this.#dialog) return;
    this.#told.textContent = "";
    const done = button("Done", () => dialog.close(), { class: "primary" });
    const dialog = openDialog(
      "Share this document",
      this.#sections,
      element(
        "div",
        { class: "foot" },
        this.#told,
        element("div", { class: "choices" }, this.#leave, done),
      ),
    );
    dialog.classList.add("sharing");
    dialog.addEventListener("close", () => {
      this.#dialog = null;
    });
    this.#dialog = dialog;
    this.#show();
  }

  #show(): void {
    const role = this.#role;
    if (role === null) return;
    const { shares, seesMembers, leaves } = rightsOf(role);
    const telling = this.#telling;
    const { account } = this.#around;
    this.#leave.hidden = !leaves;
    const people = seesMembers ? peopleSection(this.#sharing, account, shares, telling) : null;
    this.#sections.replaceChildren(
      element("p", { class: "mine" }, MINE[role]),
      ...(people ? [people.section] : []),
      this.#accessSection(shares, telling),
      ...(shares ? [linksSection(this.#sharing, telling, () => people?.reload())] : []),
    );
  }

  /** What whoever knows the document's own address may do. */
  #accessSection(shares: boolean, { tell, run }: Telling): HTMLElement {
    const id = "share-anyone";
    const field = choice([["", "No access"], ...GIVEN], "", {
      id,
      "aria-describedby": "share-others",
    });
    field.disabled = true;
    const others = element(
      "p",
      { id: "share-others", class: "hint" },
      "For all who are not listed above. Whoever opens the document sees its address.",
    );
    others.hidden = true;
    let now = "";
    const show = (anyone: GivenRole | null) => {
      now = anyone ?? "";
      field.value = now;
      field.disabled = !shares;
      others.hidden = !shares || anyone === null;
    };
    field.addEventListener("change", () => {
      const wanted = (field.value || null) as GivenRole | null;
      run(
        () => this.#sharing.giveAnyone(wanted),
        () => {
          show(wanted);
          tell(
            wanted
              ? `Anyone with the address: ${ROLES[wanted]}.`
              : "Only people you name, or send a link.",
          );
        },
        () => {
          field.value = now;
        },
      );
    });
    run(() => this.#sharing.anyone(), show);
    return element(
      "section",
      { "aria-labelledby": "share-general" },
      element("h3", { id: "share-general" }, "General access"),
      element(
        "div",
        { class: "line" },
        element("label", { for: id, class: "what" }, "Anyone with the address"),
        field,
      ),
      others,
      copyButton("Copy the address", () => addressOf(this.#id)),
    );
  }

  async #askToLeave(): Promise<void> {
    const sure = await askWhether(
      "Leave this document?",
      "It goes from your list. To come back, you need an address that lets you in.",
      "Leave",
    );
    if (!sure) return;
    this.#telling.run(
      async () => this.#sharing.remove(await this.#around.account.user()),
      () => {
        this.close();
        this.#events.left();
      },
    );
  }

  get #telling(): Telling {
    const tell = (words: string) => {
      this.#told.classList.remove("failure");
      this.#told.textContent = words;
    };
    return {
      tell,
      run: (action, done, failed = () => {}) => {
        action().then(done, (error: unknown) => {
          this.#told.classList.add("failure");
          this.#told.textContent = why(error);
          failed();
        });
      },
    };
  }
}

const MINE: Readonly<Record<Role, string>> = {
  owner: "It is yours: you say who may read it and who may write.",
  editor: "You may read and write. Its owner says who else may.",
  commenter: "You may read. Its owner says who may write.",
  viewer: "You may read. Its owner says who may write.",
};

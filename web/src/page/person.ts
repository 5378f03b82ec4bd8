import type { Around } from "./around.ts";
import { askWhether } from "./dialog.ts";
import { button, element, unseen } from "./element.ts";
import { changedPassword, enter, nameField } from "./entrance.ts";
import { askForm } from "./form.ts";
import { initials } from "./words.ts";

/** Lets the person change their name. True if it is another one now. */
async function renamed({ account, notices }: Around): Promise<boolean> {
  let name = account.name;
  const asked = await askForm({
    heading: "Go by another name",
    explanation: "Others see it beside what you write.",
    fields: [nameField(name)],
    action: "Save",
    submit: (filled) => {
      name = filled.name ?? name;
    },
  });
  if (asked !== "done" || name === account.name) return false;
  try {
    if (await account.rename(name)) return true;
    const sure = await askWhether(
      "Start as somebody new?",
      "This server cannot change a name. Under a new one you start with an empty list, and " +
        "documents that you made are no longer yours to delete. Their links go on working.",
      `Start as ${name}`,
    );
    if (sure) await account.startAnew(name);
    return sure;
  } catch {
    notices.show("Your name was not changed: the server cannot be reached.");
    return false;
  }
}

/** Leaves this browser to whoever comes next. What is not sent stays, unseen, for this person. */
async function signOut({ account, begunAnew, mayLeave }: Around): Promise<void> {
  const sure = await askWhether(
    "Sign out?",
    "What you typed and what is not sent yet stays on this device, and comes back when you sign in.",
    "Sign out",
  );
  if (!sure || !mayLeave()) return;
  account.signOut();
  history.replaceState(null, "", location.pathname);
  begunAnew();
}

/**
 * Who the person is, and what they can do about it. `changed` is called when the name is another
 * one, or the token; `close` before anything is asked.
 */
export class Me {
  readonly dom: HTMLElement;
  readonly #around: Around;
  readonly #changed: () => void;
  readonly #close: () => void;
  readonly #who = element("p", { class: "who" });
  readonly #choices = element("div", { class: "choices" });
  #registration = false;

  constructor(around: Around, changed: () => void, close: () => void) {
    this.#around = around;
    this.#changed = changed;
    this.#close = close;
    this.dom = element("div", { class: "account" }, this.#who, this.#choices);
    this.show();
    void around.account.ways().then(({ registration }) => {
      this.#registration = registration;
      this.show();
    });
  }

  show(): void {
    const { account } = this.#around;
    const { username } = account;
    const guest = "You are a guest: your documents are yours in this browser alone.";
    const keep = this.#registration ? " Create an account to keep them." : "";
    this.#who.textContent = username === null ? guest + keep : `You are signed in as @${username}.`;
    const rename = this.#choice("Change your name", () => renamed(this.#around));
    const enterBy = (label: string, way: "sign in" | "register") =>
      this.#choice(label, () => enter(this.#around, way));
    this.#choices.replaceChildren(
      rename,
      ...(username === null
        ? [
            ...(this.#registration ? [enterBy("Create an account", "register")] : []),
            enterBy("Sign in", "sign in"),
          ]
        : [
            this.#choice("Change your password", () => changedPassword(this.#around)),
            this.#choice("Sign out", async () => {
              await signOut(this.#around);
              return false;
            }),
          ]),
    );
  }

  #choice(label: string, run: () => Promise<boolean>): HTMLButtonElement {
    return button(label, () => {
      this.#close();
      void run().then((yes) => {
        if (!yes) return;
        this.show();
        this.#changed();
      });
    });
  }
}

/** The person's own name, and all about them on demand. */
export function nameButton(around: Around, changed: () => void): HTMLElement {
  const { account } = around;
  const face = element("span", { class: "avatar own", "aria-hidden": "true" });
  const name = element("span", { class: "name" });
  const made = element(
    "button",
    { type: "button", class: "me", popovertarget: "me" },
    face,
    name,
    unseen(": your account"),
  );
  const heading = element("h2");
  const show = () => {
    face.textContent = initials(account.name);
    name.textContent = account.name;
    heading.textContent = account.name;
    made.title = `You are ${account.name}`;
  };
  const me = new Me(
    around,
    () => {
      show();
      changed();
      made.focus();
    },
    () => card.hidePopover(),
  );
  const card = element("div", { id: "me", class: "card", popover: "auto" }, heading, me.dom);
  show();
  return element("div", { class: "beside" }, made, card);
}

import type { Around } from "./around.ts";
import { askName, askWhether } from "./dialog.ts";
import { element, unseen } from "./element.ts";
import { initials } from "./words.ts";

/** Whoever comes for the first time is asked for a name, once. */
export async function introduced({ account }: Around): Promise<void> {
  if (account.introduced) return;
  const name = await askName({
    heading: "Welcome to Collab",
    explanation: "Write with others, in the same text, at the same time. Who should they see?",
    action: "Start",
    name: "",
  });
  account.introduce(name ?? "");
}

/** Lets the person change their name. True if it is another one now. */
export async function renamed({ account, notices }: Around): Promise<boolean> {
  const name = await askName({
    heading: "Go by another name",
    explanation: "Others see it beside what you write.",
    action: "Save",
    name: account.name,
  });
  if (name === null || name === account.name) return false;
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

/** The person's own name, to be changed. */
export function nameButton(around: Around, changed: () => void): HTMLButtonElement {
  const { account } = around;
  const face = element("span", { class: "avatar own", "aria-hidden": "true" });
  const name = element("span", { class: "name" });
  const made = element(
    "button",
    { type: "button", class: "me" },
    face,
    name,
    unseen(": change your name"),
  );
  const show = () => {
    face.textContent = initials(account.name);
    name.textContent = account.name;
    made.title = `You are ${account.name}: change your name`;
  };
  made.addEventListener("click", () => {
    void renamed(around).then((yes) => {
      made.focus();
      if (!yes) return;
      show();
      changed();
    });
  });
  show();
  return made;
}

import { button, element } from "./element.ts";

const MAX_NAME_UNITS = 60;

/** A modal dialog that takes itself away when it is closed. */
export function openDialog(heading: string, ...content: (Node | string)[]): HTMLDialogElement {
  const dialog = element(
    "dialog",
    { "aria-labelledby": "dialog-heading" },
    element("h2", { id: "dialog-heading" }, heading),
    ...content,
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

export interface NameQuestion {
  readonly heading: string;
  readonly explanation: string;
  readonly action: string;
  readonly name: string;
}

/** Asks for a name; `null` if the person would rather not. */
export function askName(question: NameQuestion): Promise<string | null> {
  const field = element("input", {
    id: "name",
    name: "name",
    type: "text",
    required: "",
    maxlength: String(MAX_NAME_UNITS),
    autocomplete: "nickname",
    spellcheck: "false",
    "aria-describedby": "name-explanation",
  });
  field.value = question.name;
  let answer: string | null = null;
  const form = element(
    "form",
    { method: "dialog" },
    element("p", { id: "name-explanation" }, question.explanation),
    element("label", { for: "name" }, "Your name"),
    element(
      "div",
      { class: "ask" },
      field,
      element("button", { type: "submit", class: "primary" }, question.action),
    ),
  );
  form.addEventListener("submit", (event) => {
    answer = field.value.trim();
    if (answer !== "") return;
    event.preventDefault();
    field.value = "";
    field.reportValidity();
  });
  const dialog = openDialog(question.heading, form);
  field.focus();
  field.select();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(answer));
  });
}

/** Asks a yes or no; anything but yes is no. */
export function askWhether(heading: string, explanation: string, yes: string): Promise<boolean> {
  let answer = false;
  const dialog = openDialog(
    heading,
    element("p", {}, explanation),
    element(
      "div",
      { class: "choices" },
      button("Cancel", () => dialog.close()),
      button(
        yes,
        () => {
          answer = true;
          dialog.close();
        },
        { class: "primary" },
      ),
    ),
  );
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(answer));
  });
}

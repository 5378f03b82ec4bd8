import { button, element } from "./element.ts";

let opened = 0;

/** A modal dialog that takes itself away when it is closed. */
export function openDialog(heading: string, ...content: (Node | string)[]): HTMLDialogElement {
  const id = `dialog-${++opened}`;
  const dialog = element(
    "dialog",
    { "aria-labelledby": id },
    element("h2", { id }, heading),
    ...content,
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
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

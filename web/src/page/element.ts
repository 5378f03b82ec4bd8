import { copy } from "./clipboard.ts";
import { type IconName, icon } from "./icons.ts";

type Attributes = Readonly<Record<string, string>>;

/** An element with its attributes and children. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** A button and what it does. */
export function button(
  label: string,
  action: () => void,
  attributes: Attributes = {},
): HTMLButtonElement {
  const made = element("button", { type: "button", ...attributes }, label);
  made.addEventListener("click", action);
  return made;
}

/** A choice among a few. */
export function choice(
  options: Iterable<readonly [value: string, label: string]>,
  value: string,
  attributes: Attributes = {},
): HTMLSelectElement {
  const made = element("select", attributes);
  for (const [each, label] of options) made.append(element("option", { value: each }, label));
  made.value = value;
  return made;
}

/** A button that shows an icon, and bears its label for tooltips and screen readers. */
export function iconButton(name: IconName, label: string, action: () => void): HTMLButtonElement {
  const made = button("", action, { class: "icon", "aria-label": label, title: label });
  made.append(icon(name));
  return made;
}

/** Text for screen readers alone. */
export function unseen(text: string): HTMLElement {
  return element("span", { class: "unseen" }, text);
}

/** How long a button says that it has copied. */
const COPIED_MS = 2_000;

/** A button that copies what `text` gives, and says so. */
export function copyButton(label: string, text: () => string): HTMLButtonElement {
  const words = element("span", { "aria-live": "polite" }, label);
  const made = button(
    "",
    () => {
      copy(text()).then(
        () => say("Copied"),
        () => say("Not allowed"),
      );
    },
    { class: "copy" },
  );
  let timer: ReturnType<typeof setTimeout> | undefined;
  const say = (result: string) => {
    words.textContent = result;
    clearTimeout(timer);
    timer = setTimeout(() => {
      words.textContent = label;
    }, COPIED_MS);
  };
  made.append(icon("copy"), words);
  return made;
}

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
export function button(label: string, action: () => void): HTMLButtonElement {
  const made = element("button", { type: "button" }, label);
  made.addEventListener("click", action);
  return made;
}

/** A button that copies what `text` gives, and says so. */
export function copyButton(label: string, text: () => string): HTMLButtonElement {
  const made = button(label, () => {
    navigator.clipboard.writeText(text()).then(
      () => {
        made.textContent = "Copied";
      },
      () => {
        made.textContent = "Copying is not allowed here";
      },
    );
  });
  return made;
}

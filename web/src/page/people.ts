import { ink } from "../presence/cursors.ts";
import { element, unseen } from "./element.ts";
import { initials } from "./words.ts";

export interface Person {
  readonly name: string;
  /** `null`: the person at this page. */
  readonly color: string | null;
}

/** As many faces as there is place for; the others are a number. */
const FACES = 4;

/** Who is in the document: faces in the bar, and all names on demand. */
export class People {
  readonly #faces = element("span", { class: "faces", "aria-hidden": "true" });
  readonly #count = unseen("");
  readonly #button = element(
    "button",
    { type: "button", class: "people", popovertarget: "who" },
    this.#faces,
    this.#count,
  );
  readonly #names = element("ul");
  readonly dom: HTMLElement;
  readonly #card: HTMLElement;
  #shows = "";

  /** `me`: what the person can do about themselves. */
  constructor(me: HTMLElement) {
    this.#card = element(
      "div",
      { id: "who", class: "card", popover: "auto" },
      element("h2", {}, "Who is here"),
      this.#names,
      me,
    );
    this.dom = element("div", { class: "beside" }, this.#button, this.#card);
  }

  hide(): void {
    this.#card.hidePopover();
  }

  show(people: readonly Person[]): void {
    // A cursor moved: that is nothing new here.
    const shows = JSON.stringify(people);
    if (shows === this.#shows) return;
    this.#shows = shows;
    const shown = people.length > FACES ? people.slice(0, FACES - 1) : people;
    const rest = people.length - shown.length;
    this.#faces.replaceChildren(
      ...shown.map(avatar),
      ...(rest > 0 ? [element("span", { class: "avatar rest" }, `+${rest}`)] : []),
    );
    this.#count.textContent = `${people.length} ${people.length === 1 ? "person" : "people"} here`;
    this.#button.title = people.map(label).join(", ");
    this.#names.replaceChildren(
      ...people.map((person) => element("li", {}, avatar(person), label(person))),
    );
  }
}

function label({ name, color }: Person): string {
  return color === null ? `${name} (you)` : name;
}

function avatar(person: Person): HTMLElement {
  const { name, color } = person;
  const made = element(
    "span",
    {
      class: color === null ? "avatar own" : "avatar",
      "aria-hidden": "true",
      title: label(person),
    },
    initials(name),
  );
  if (color !== null) {
    made.style.setProperty("--peer", color);
    made.style.setProperty("--on-peer", ink(color));
  }
  return made;
}

import { openDialog } from "./dialog.ts";
import { button, element } from "./element.ts";
import { why } from "./rest.ts";

export interface Field {
  readonly name: string;
  readonly label: string;
  readonly type?: "text" | "password";
  readonly autocomplete: string;
  readonly value?: string;
  /** Below the field. */
  readonly hint?: string;
  readonly minlength?: number;
  readonly maxlength?: number;
  /** What it must look like, as a regular expression. */
  readonly pattern?: string;
  readonly optional?: boolean;
}

/** What was filled in, by the names of the fields. */
export type Filled = Readonly<Record<string, string>>;

export interface Form<Way extends string> {
  readonly heading: string;
  readonly explanation: string;
  readonly fields: readonly Field[];
  readonly action: string;
  /** What one may do in place of this, and what it is called. */
  readonly instead?: readonly (readonly [way: Way, label: string])[];
  /** It cannot be left without an answer. */
  readonly urgent?: boolean;
  /** What it throws is told, and the person may try again. */
  submit(filled: Filled): Promise<void> | void;
  /** What was thrown, in words. */
  explain?(error: unknown): string;
}

/** Asks until it is done; `null` if the person would rather not. */
export function askForm<Way extends string = never>(form: Form<Way>): Promise<"done" | Way | null> {
  let outcome: "done" | Way | null = null;
  const inputs = form.fields.map((field) => ({ field, input: inputFor(field) }));
  const failure = element("p", { class: "failure", role: "alert" });
  const act = element("button", { type: "submit", class: "primary" }, form.action);
  const others = (form.instead ?? []).map(([way, label]) => button(label, () => end(way)));
  const cancel = form.urgent ? [] : [button("Cancel", () => end(null))];
  const dom = element(
    "form",
    { method: "dialog" },
    element("p", {}, form.explanation),
    ...inputs.flatMap(({ field, input }) => labelled(field, input)),
    failure,
    element("div", { class: "choices" }, ...cancel, act),
    ...(others.length > 0 ? [element("div", { class: "instead" }, ...others)] : []),
  );
  dom.addEventListener("submit", (event) => {
    event.preventDefault();
    if (act.disabled) return;
    const filled = Object.fromEntries(
      inputs.map(({ field, input }) => [
        field.name,
        field.type === "password" ? input.value : input.value.trim(),
      ]),
    );
    act.disabled = true;
    failure.textContent = "";
    Promise.resolve()
      .then(() => form.submit(filled))
      .then(
        () => end("done"),
        (error: unknown) => {
          failure.textContent = (form.explain ?? why)(error);
          act.disabled = false;
        },
      );
  });
  const dialog = openDialog(form.heading, dom);
  const end = (how: "done" | Way | null) => {
    outcome = how;
    dialog.close();
  };
  const first = inputs.find(({ input }) => input.value === "") ?? inputs[0];
  first?.input.focus();
  first?.input.select();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(outcome));
  });
}

function inputFor(field: Field): HTMLInputElement {
  const { name, type = "text", autocomplete, hint, minlength, maxlength, pattern } = field;
  const input = element("input", {
    id: `field-${name}`,
    name,
    type,
    autocomplete,
    spellcheck: "false",
    autocapitalize: name === "name" ? "words" : "none",
    ...(!field.optional && { required: "" }),
    ...(hint && { "aria-describedby": `hint-${name}` }),
    ...(minlength && { minlength: String(minlength) }),
    ...(maxlength && { maxlength: String(maxlength) }),
    // A name of blanks is none.
    ...(pattern ? { pattern } : type === "text" && !field.optional && { pattern: ".*\\S.*" }),
  });
  input.value = field.value ?? "";
  return input;
}

function labelled({ name, label, hint }: Field, input: HTMLInputElement): Node[] {
  return [
    element("label", { for: input.id }, label),
    input,
    ...(hint ? [element("p", { id: `hint-${name}`, class: "hint" }, hint)] : []),
  ];
}

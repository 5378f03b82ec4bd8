import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { Compartment, EditorState } from "@codemirror/state";
import { EditorView, keymap } from "@codemirror/view";
import { Binding, collaborative, type Status, type Unsent } from "../binding/index.ts";
import { Connection } from "../connection/index.ts";
import type { Account } from "./account.ts";
import type { Documents } from "./documents.ts";
import { copyButton, element } from "./element.ts";
import { inWords } from "./words.ts";

/** How often it is looked whether the token runs out. */
const LOOK_AT_TOKEN_MS = 20_000;

/** One open document: its editor, its state, and the link to it. */
export class Desk {
  readonly #place: HTMLElement;
  readonly #status = element("p", { id: "status", role: "status" });
  readonly #title = element("h1", { id: "title" });
  readonly #view: EditorView;
  readonly #binding: Binding;
  readonly #writable = new Compartment();
  readonly #leaving = new AbortController();

  constructor(place: HTMLElement, id: string, account: Account, documents: Documents) {
    this.#place = place;
    this.#view = new EditorView({
      extensions: [
        collaborative,
        history(),
        keymap.of([...defaultKeymap, ...historyKeymap]),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ "aria-label": "Text" }),
        EditorView.cspNonce.of(nonce()),
        EditorView.updateListener.of(({ docChanged }) => {
          if (docChanged) this.#binding.changed();
        }),
        this.#writable.of(EditorState.readOnly.of(true)),
      ],
    });
    this.#binding = new Binding(
      this.#view,
      (replica, changed) =>
        new Connection(
          { origin: location.origin, document: id, tokens: account },
          replica,
          changed,
        ),
      {
        status: (status) => this.#show(status),
        rejected: (unsent) => this.#handBack(unsent),
      },
    );
    this.#build();
    this.#watch(account);
    this.#binding.connection.open();
    documents.look(id).then(
      ({ title }) => this.#name(title),
      () => this.#name("Untitled"),
    );
  }

  get saved(): boolean {
    return this.#binding.status.saved;
  }

  leave(): void {
    this.#leaving.abort();
    this.#binding.connection.close();
    this.#view.destroy();
    this.#place.replaceChildren();
  }

  #build(): void {
    const link = element("a", { id: "link", href: location.href }, location.href);
    this.#place.replaceChildren(
      element("p", {}, element("a", { href: "#" }, "All documents")),
      this.#title,
      this.#status,
      this.#view.dom,
      element(
        "p",
        {},
        "Link: ",
        link,
        " ",
        copyButton("Copy", () => link.href),
      ),
    );
    this.#show(this.#binding.status);
  }

  /** What happens around the editor, for as long as it is there. */
  #watch(account: Account): void {
    const { signal } = this.#leaving;
    const { connection } = this.#binding;
    window.addEventListener("online", () => connection.retry(), { signal });
    window.addEventListener(
      "beforeunload",
      (event) => {
        if (!this.saved) event.preventDefault();
      },
      { signal },
    );
    const timer = setInterval(() => {
      if (!account.expiring) return;
      // Where this fails, the server closes in time, and the connection asks for a token itself.
      account.renewed().then(
        (token) => connection.renew(token),
        () => {},
      );
    }, LOOK_AT_TOKEN_MS);
    signal.addEventListener("abort", () => clearInterval(timer));
  }

  #name(title: string): void {
    if (this.#leaving.signal.aborted) return;
    this.#title.textContent = title;
    document.title = title;
  }

  #show(status: Status): void {
    const { connection, saved } = status;
    this.#status.dataset.connection = connection.kind;
    this.#status.dataset.saved = String(saved);
    this.#status.textContent = inWords(status);
    // Between sessions, one may go on typing.
    if (connection.kind === "live") {
      this.#setWritable(connection.role === "owner" || connection.role === "editor");
    } else if (connection.kind === "stopped") {
      this.#setWritable(false);
    }
  }

  #setWritable(writable: boolean): void {
    if (this.#view.state.readOnly !== writable) return;
    const effects = this.#writable.reconfigure(EditorState.readOnly.of(!writable));
    this.#view.dispatch({ effects });
  }

  /** What the server will not take stays with the person who wrote it. */
  #handBack({ message, text, typed }: Unsent): void {
    const kept = typed.length > 0 ? typed.join("\n") : text;
    const box = element("textarea", { readonly: "", "aria-label": "Your text" });
    box.value = kept;
    this.#view.dom.before(
      element(
        "section",
        { class: "unsent" },
        element("p", {}, `The server did not take your last changes: ${message}. Here they are:`),
        box,
        copyButton("Copy", () => kept),
      ),
    );
  }
}

/** The server gives each page a nonce for the styles that the editor writes. */
function nonce(): string {
  return document.querySelector<HTMLMetaElement>("meta[property=csp-nonce]")?.nonce ?? "";
}

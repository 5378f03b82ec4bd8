import { Compartment } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { Binding, collaborative, type Held, type Status, type Unsent } from "../binding/index.ts";
import {
  Connection,
  isGone,
  type Peer,
  type Replica,
  type Role,
  watchWake,
} from "../connection/index.ts";
import { browserKeep, openKeeper, rescue } from "../keep/index.ts";
import { type Around, go, type View } from "./around.ts";
import { Condition } from "./condition.ts";
import { element } from "./element.ts";
import { enter } from "./entrance.ts";
import { helpButton } from "./help.ts";
import { icon } from "./icons.ts";
import { Offers } from "./offers.ts";
import { People } from "./people.ts";
import { Me } from "./person.ts";
import { Title, titleButton } from "./rename.ts";
import { why } from "./rest.ts";
import { Share } from "./share.ts";
import { writes } from "./sharing.ts";
import { readOnly, writable, writing } from "./writing.ts";

/** How often it is looked whether the token runs out. */
const LOOK_AT_TOKEN_MS = 20_000;
const OPENING: Status = { connection: { kind: "idle" }, saved: true, kept: false };
/** A document that bears no title of its own yet. */
const UNTITLED = "Untitled";

/** One open document: its editor, its state, who is there, and the link to it. */
export class Desk implements View {
  readonly #around: Around;
  readonly #id: string;
  readonly #view: EditorView;
  /** From when it is known what an earlier page left unsent here. */
  #binding: Binding | null = null;
  readonly #condition: Condition;
  readonly #people: People;
  readonly #title: Title;
  readonly #bar = element("header", { class: "bar" });
  readonly #main = element("main", { id: "main", class: "desk", tabindex: "-1" });
  readonly #share: Share;
  readonly #readOnly = element("span", { class: "chip" }, "Read only");
  /** From when it is known who the person is. */
  #offers: Offers | null = null;
  /** What the person may do here, as far as it was said. */
  #role: Role | null = null;
  readonly #writable = new Compartment();
  readonly #leaving = new AbortController();

  /** Of a `fresh` document the title is asked for first. */
  constructor(place: HTMLElement, id: string, around: Around, fresh: boolean) {
    this.#around = around;
    this.#id = id;
    this.#view = new EditorView({
      extensions: [
        collaborative,
        writing(() => this.#covered_px),
        EditorView.updateListener.of(({ docChanged, selectionSet, focusChanged }) => {
          if (docChanged || selectionSet || focusChanged) this.#binding?.changed();
        }),
        this.#writable.of(readOnly("")),
      ],
    });
    this.#condition = new Condition(OPENING, around.notices, {
      retry: () => this.#binding?.connection.retry(),
      text: () => this.#view.state.sliceDoc(),
      signIn: () => void this.#enter(),
    });
    const me = new Me(
      around,
      () => this.#changed(),
      () => this.#people.hide(),
    );
    this.#people = new People(me.dom);
    this.#share = new Share(around, id, { left: () => go("") });
    this.#title = new Title(
      element("h1", { id: "title" }),
      fresh ? UNTITLED : "",
      (title) => titleButton(title, () => this.#title.edit()),
      {
        label: "Title",
        save: (title) => this.#rename(title),
        done: () => this.#view.focus(),
      },
    );
    this.#build(place);
    this.#watch();
    void this.#open();
    if (fresh) this.#title.edit();
    void this.#look();
  }

  mayLeave(): boolean {
    return !this.#loses || confirm("Some of what you typed is not saved. Leave it?");
  }

  leave(): void {
    this.#leaving.abort();
    this.#condition.close();
    this.#share.close();
    void Promise.resolve(this.#binding?.close()).then(() => this.#view.destroy());
  }

  /** The bar, and the banner under it. */
  get #covered_px(): number {
    const lowest = this.#condition.banner.hidden ? this.#bar : this.#condition.banner;
    return lowest.getBoundingClientRect().bottom;
  }

  /** Some text would be gone with this page. */
  get #loses(): boolean {
    const { saved, kept } = this.#binding?.status ?? OPENING;
    return (this.#offers?.unkept ?? false) || !(saved || kept);
  }

  /** Takes up what is unsent from before, and connects. */
  async #open(): Promise<void> {
    const { account } = this.#around;
    const { signal } = this.#leaving;
    const keep = browserKeep();
    const shelf = { owner: await account.user(), document: this.#id };
    const keeper = await openKeeper(keep, shelf);
    if (signal.aborted) {
      await keeper?.close();
      return;
    }
    const offers = this.#showOffers(shelf.owner);
    const connect = (replica: Replica, changed: () => void, held: Held) =>
      new Connection(
        { origin: location.origin, document: this.#id, tokens: account, ...held },
        replica,
        changed,
      );
    const rejected = (unsent: Unsent) => offers.add(unsent);
    const binding = new Binding(
      this.#view,
      connect,
      {
        status: (status) => this.#show(status),
        rejected,
        peers: (peers) => this.#meet(peers),
      },
      keeper,
    );
    this.#binding = binding;
    binding.open();
    if (keeper?.kept) {
      // Whoever wrote here goes on writing, connected or not.
      this.#main.dataset.opened = "";
      this.#setWritable(true);
    }
    watchWake(() => binding.connection.wake(), signal);
    if (keep) void rescue({ keep, shelf, connect, rejected, signal });
  }

  #build(place: HTMLElement): void {
    const back = element("a", { class: "back", href: "#" }, icon("back"));
    back.append(element("span", {}, "All documents"));
    this.#main.append(element("div", { class: "sheet" }, this.#title.dom, this.#view.dom));
    this.#readOnly.hidden = true;
    this.#meet([]);
    this.#bar.append(
      back,
      this.#condition.bar,
      this.#readOnly,
      this.#people.dom,
      this.#share.button,
      helpButton(),
    );
    place.replaceChildren(this.#bar, this.#condition.banner, this.#main);
  }

  /** What happens around the editor, for as long as it is there. */
  #watch(): void {
    const { signal } = this.#leaving;
    for (const type of ["online", "offline"]) {
      window.addEventListener(type, () => this.#condition.refresh(), { signal });
    }
    window.addEventListener(
      "beforeunload",
      (event) => {
        if (this.#loses) event.preventDefault();
      },
      { signal },
    );
    window.addEventListener(
      "keydown",
      (event) => {
        if (event.key === "F2") this.#title.edit();
      },
      { signal },
    );
    document.addEventListener(
      "visibilitychange",
      () => {
        if (!document.hidden) void this.#look();
      },
      { signal },
    );
    // A click below a short text means the text.
    this.#main.addEventListener("mousedown", (event) => {
      if (event.target !== this.#main) return;
      event.preventDefault();
      this.#view.focus();
    });
    const { account } = this.#around;
    const timer = setInterval(() => {
      if (!account.expiring) return;
      // Where this fails, the server closes in time, and the connection asks for a token itself.
      account.renewed().then(
        (token) => this.#binding?.connection.renew(token),
        () => {},
      );
    }, LOOK_AT_TOKEN_MS);
    signal.addEventListener("abort", () => clearInterval(timer));
  }

  // The title

  async #look(): Promise<void> {
    try {
      this.#name((await this.#around.documents.look(this.#id)).title);
    } catch {
      // The connection finds out why, and says so.
      if (this.#title.title === "") this.#name(UNTITLED);
    }
  }

  async #rename(title: string): Promise<void> {
    document.title = `${title} · Collab`;
    try {
      this.#name((await this.#around.documents.rename(this.#id, title)).title);
    } catch (error) {
      this.#name(this.#title.title);
      this.#around.notices.show(`The title was not changed. ${why(error)}`);
      throw error;
    }
  }

  #name(title: string): void {
    if (this.#leaving.signal.aborted) return;
    this.#title.title = title;
    document.title = `${title} · Collab`;
  }

  // The state

  #show(status: Status): void {
    if (this.#leaving.signal.aborted) return;
    const { connection } = status;
    this.#condition.show(status);
    // Between sessions, one may go on typing.
    if (connection.kind === "live") {
      this.#become(connection.role);
      this.#main.dataset.opened = "";
      if (document.activeElement === document.body) this.#view.focus();
    } else if (connection.kind === "stopped" && connection.reason !== "closed") {
      this.#setWritable(false);
      this.#title.locked = true;
      this.#share.close();
      // What can never be sent is offered; who is signed out may come back to it.
      if (isGone(connection)) this.#binding?.giveUp();
    }
    this.#standAlone();
  }

  /** The person's role is this one, from the beginning or from now on. */
  #become(role: Role): void {
    const may = writes(role);
    const might = this.#role === null ? may : writes(this.#role);
    this.#role = role;
    this.#share.role = role;
    this.#setWritable(may);
    this.#readOnly.hidden = may;
    this.#title.locked = !may;
    if (may === might) return;
    const now = may
      ? "You may write in this document now."
      : "You may only read this document now.";
    this.#around.notices.show(now);
  }

  /** Without a text, and without anything of the person's own, only what is wrong is seen. */
  #standAlone(): void {
    const stopped = this.#binding?.status.connection.kind === "stopped";
    const offered = this.#offers?.any ?? false;
    this.#condition.offered = offered;
    this.#condition.alone = stopped && !offered && !("opened" in this.#main.dataset);
  }

  #setWritable(may: boolean): void {
    if (this.#view.state.readOnly !== may) return;
    const effects = this.#writable.reconfigure(
      may ? writable : readOnly("Nothing is written yet."),
    );
    this.#view.dispatch({ effects });
  }

  /** Signed in again, the same person goes on where they were. */
  async #enter(): Promise<void> {
    if (!(await enter(this.#around, "sign in")) || this.#leaving.signal.aborted) return;
    this.#binding?.connection.open();
  }

  /** The person has another name or account, of which the others hear with the next session. */
  #changed(): void {
    if (this.#leaving.signal.aborted) return;
    const connection = this.#binding?.connection;
    this.#meet(connection?.peers ?? []);
    connection?.close();
    connection?.open();
  }

  /** Who is here. One person may have several tabs. */
  #meet(peers: readonly Peer[]): void {
    const people = new Map(peers.map(({ name, color }) => [`${color} ${name}`, { name, color }]));
    this.#people.show([{ name: this.#around.account.name, color: null }, ...people.values()]);
  }

  /** What the server will not take stays with the person who wrote it. */
  #showOffers(owner: string): Offers {
    const offers = new Offers(this.#around, this.#id, owner, this.#leaving.signal, {
      title: () => this.#title.title,
      changed: () => this.#standAlone(),
      settled: () => this.#view.focus(),
    });
    this.#offers = offers;
    this.#view.dom.before(offers.dom);
    this.#standAlone();
    return offers;
  }
}

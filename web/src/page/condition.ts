import type { Status } from "../binding/index.ts";
import { platform, type Why } from "../connection/index.ts";
import { button, copyButton, element } from "./element.ts";
import type { Notices } from "./notices.ts";
import { secondsUntil } from "./time.ts";
import { inWords, type Words } from "./words.ts";

/** "Saved" comes back only after it has been true for a while, so that it does not flicker. */
const SETTLE_MS = 600;
/** A cut that is mended sooner is not worth alarming anybody. */
const ALARM_MS = 1_000;
/** Screen readers hear of what lasts. */
const SAY_MS = 1_500;
const TICK_MS = 250;

export interface ConditionActions {
  /** Connect now instead of after the wait. */
  retry(): void;
  /** The text as it is here. */
  text(): string;
  /** Lets the person come in again, or as somebody else. */
  signIn(): void;
}

/**
 * How the document stands: a quiet word beside its title, and, when something is wrong, a banner
 * that says what, what it means, and what to do. The banner lies over the page and moves nothing.
 */
export class Condition {
  readonly #word = element("span", { class: "word" });
  readonly bar = element(
    "p",
    { id: "status" },
    element("span", { class: "dot", "aria-hidden": "true" }),
    this.#word,
  );
  readonly banner = element("aside", { class: "banner", "aria-label": "Connection" });
  readonly #what = element("strong");
  readonly #so = element("span", { class: "so" });
  readonly #countdown = element("span", { class: "countdown", "aria-hidden": "true" });
  readonly #waiting: HTMLElement;
  readonly #stopped: HTMLElement;
  readonly #copy: HTMLElement;
  readonly #reload = button("Reload", () => location.reload());
  readonly #signIn: HTMLButtonElement;
  readonly #notices: Notices;

  #status: Status;
  #cut: Why | null = null;
  #settling: ReturnType<typeof setTimeout> | undefined;
  #alarm: ReturnType<typeof setTimeout> | undefined;
  #ticking: ReturnType<typeof setInterval> | undefined;
  #alarmed = false;
  #offered = false;

  constructor(status: Status, notices: Notices, { retry, text, signIn }: ConditionActions) {
    this.#status = status;
    this.#notices = notices;
    this.#waiting = element("div", { class: "do" }, this.#countdown, button("Try now", retry));
    this.#copy = copyButton("Copy the text", text);
    this.#signIn = button("", signIn, { class: "sign-in" });
    this.#stopped = element(
      "div",
      { class: "do" },
      element("a", { href: "#", class: "button" }, "All documents"),
      this.#reload,
      this.#copy,
      this.#signIn,
    );
    this.banner.append(element("p", {}, this.#what, " ", this.#so), this.#waiting, this.#stopped);
    this.show(status);
  }

  show(status: Status): void {
    this.#status = status;
    const { connection, saved } = status;
    this.bar.dataset.connection = connection.kind;
    this.bar.dataset.saved = String(saved);
    if (connection.kind === "waiting") this.#cut = connection.why;
    if (connection.kind === "live" || connection.kind === "stopped") this.#cut = null;
    this.#render();
  }

  /** What was not taken is in the page. */
  set offered(offered: boolean) {
    if (offered === this.#offered) return;
    this.#offered = offered;
    this.#render();
  }

  /** There is no text to be seen: what is wrong is all there is. */
  set alone(alone: boolean) {
    this.banner.toggleAttribute("data-alone", alone);
    this.#what.role = alone ? "heading" : null;
    this.#what.ariaLevel = alone ? "1" : null;
  }

  /** The network came or went. */
  refresh(): void {
    this.#render();
  }

  close(): void {
    clearTimeout(this.#settling);
    clearTimeout(this.#alarm);
    clearInterval(this.#ticking);
    this.#notices.say("");
  }

  #render(): void {
    const words = inWords(this.#status, navigator.onLine, this.#cut, this.#offered);
    this.bar.dataset.tone = words.tone;
    this.#setWord(words.short);
    this.#setBanner(words);
  }

  /** What is not saved is said at once; that all is, a little later. */
  #setWord(short: string): void {
    clearTimeout(this.#settling);
    if (short === this.#word.textContent) return;
    const set = () => {
      this.#word.textContent = short;
      this.bar.dataset.shown = short;
    };
    if (short === "Saved" && this.#word.textContent === "Saving…") {
      this.#settling = setTimeout(set, SETTLE_MS);
    } else {
      set();
    }
  }

  #setBanner({ tone, trouble }: Words): void {
    if (!trouble) {
      clearTimeout(this.#alarm);
      this.#alarm = undefined;
      clearInterval(this.#ticking);
      if (this.#alarmed) this.#notices.say("Connected again.");
      this.#alarmed = false;
      this.banner.hidden = true;
      return;
    }
    this.banner.dataset.tone = tone;
    this.#what.textContent = trouble.what;
    this.#so.textContent = trouble.so;
    this.#waiting.hidden = tone !== "cut";
    this.#stopped.hidden = tone !== "stopped";
    this.#copy.hidden = this.#status.saved || this.#offered;
    this.#offerToEnter();
    this.#tick();
    if (this.#alarmed) this.#notices.say(`${trouble.what} ${trouble.so}`, SAY_MS);
    else if (tone === "stopped") this.#raise();
    else this.#alarm ??= setTimeout(() => this.#raise(), ALARM_MS);
  }

  /** What the person can do about it themselves depends on why it stopped. */
  #offerToEnter(): void {
    const { connection } = this.#status;
    const reason = connection.kind === "stopped" ? connection.reason : null;
    this.#reload.hidden = reason === "deleted" || reason === "unauthorized";
    this.#signIn.hidden = reason !== "unauthorized" && reason !== "not_found";
    this.#signIn.textContent = reason === "unauthorized" ? "Sign in" : "Sign in as somebody else";
  }

  #raise(): void {
    clearTimeout(this.#alarm);
    this.#alarmed = true;
    this.banner.hidden = false;
    this.#ticking = setInterval(() => this.#tick(), TICK_MS);
    this.#notices.say(`${this.#what.textContent} ${this.#so.textContent}`);
  }

  #tick(): void {
    const { connection } = this.#status;
    this.#countdown.textContent =
      connection.kind === "waiting"
        ? `Next try in ${secondsUntil(connection.until, platform.now())} s`
        : "Trying…";
  }
}

// Everybody in all documents: they open them, type at even times, and hear each other. What they
// hear is counted; a few of them, spread evenly, also tell how long each key took to them.
import { Document } from "./session.js";
import { Times } from "./times.js";

const OPENING_AT_ONCE = 20;
const TIMED_PER_S = 20_000; // about so many keys, by all who tell

export class Crowd {
  late = new Times(); // from the moment at which a key was due until it was pressed
  early = new Times(); // from a key to another editor, of keys in the first half of the window
  later = new Times(); // and in the second
  all = new Times();
  #plan;
  #documents;
  #sessions;
  #typists;
  #witnesses;
  #from = Number.POSITIVE_INFINITY; // the window in which keys count
  #middle = Number.POSITIVE_INFINITY;
  #to = Number.POSITIVE_INFINITY;
  #failed = null;
  #fail;

  constructor(plan, Session) {
    this.#plan = plan;
    this.#failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.#failed.catch(() => {}); // told by whoever waits for it
    this.#documents = plan.documents.map((name) => new Document(name, plan.text));
    const size = plan.typists + plan.readers;
    const numbered = this.#documents.flatMap((document) => Array(size).fill(document));
    this.#sessions = numbered.map((document, number) => new Session(document, number, plan));
    this.#typists = this.#sessions.filter((_, number) => number % size < plan.typists);
    this.#witnesses = [this.#sessions[0], this.#sessions[size - 1]];
    const told = Math.ceil(TIMED_PER_S / (plan.typists * plan.per_second));
    const step = Math.max(1, this.#sessions.length / told);
    for (const session of this.#sessions) session.onBatch = (...heard) => this.#count(...heard);
    for (let at = step / 2; at < this.#sessions.length; at += step) {
      this.#sessions[Math.floor(at)].onBatch = (...heard) => this.#time(...heard);
    }
    for (const witness of this.#witnesses) witness.log = [];
  }

  // How many keys were pressed, and how many times one of them was to reach somebody.
  get typed() {
    return sum(this.#documents.map(({ typed }) => typed));
  }

  get due() {
    return this.typed * (this.#plan.typists + this.#plan.readers - 1);
  }

  get delivered() {
    return sum(this.#documents.map(({ delivered }) => delivered));
  }

  get bytes() {
    return sum(this.#sessions.map(({ socket }) => socket.bytes));
  }

  get presences() {
    return sum(this.#sessions.map(({ presences }) => presences ?? 0));
  }

  get refusals() {
    return sum(this.#sessions.map(({ refusals }) => refusals ?? 0));
  }

  // Everybody opens a document, and has its text. The first one of each comes before the others.
  async open() {
    const { port, warm_up_s, seconds, per_second } = this.#plan;
    const keys = Math.ceil((warm_up_s + seconds) * per_second) + 1;
    for (const typist of this.#typists) typist.prepare(keys);
    const size = this.#plan.typists + this.#plan.readers;
    const isFirst = (_, number) => number % size === 0;
    await each(this.#sessions.filter(isFirst), async (session) => {
      await session.open(port, this.#fail);
      await session.seed();
    });
    const others = this.#sessions.filter((...one) => !isFirst(...one));
    await each(others, (session) => session.open(port, this.#fail));
  }

  // Types through the warm-up and the window. `onWindow` is called at its begin and at its end.
  async type(onWindow) {
    const { warm_up_s, seconds, per_second, presence_hz } = this.#plan;
    const began = performance.now() + 1;
    this.#from = began + warm_up_s * 1_000;
    this.#middle = this.#from + (seconds * 1_000) / 2;
    this.#to = this.#from + seconds * 1_000;
    const rounds = [
      new Round(this.#typists, began, per_second, (one, due) => this.#press(one, due)),
    ];
    if (presence_hz)
      rounds.push(new Round(this.#sessions, began, presence_hz, (one) => one.move()));
    let isOpen = false;
    let now = 0;
    do {
      now = performance.now();
      if (!isOpen && now >= this.#from) {
        isOpen = true;
        onWindow();
      }
      const next = Math.min(...rounds.map((round) => round.until(now, this.#to)));
      const wait = Math.min(next, isOpen ? this.#to : this.#from) - performance.now();
      await this.#unlessFailed(sleep(wait));
    } while (now < this.#to);
    onWindow();
  }

  // Waits until everything is delivered, but no longer than so long. Returns how long it took.
  async drained(patience_ms) {
    const began = performance.now();
    while (this.delivered < this.due && performance.now() < began + patience_ms) {
      await this.#unlessFailed(sleep(2));
    }
    return performance.now() - began;
  }

  // What is wrong with the texts of two of them, made by all that these heard.
  wrongTexts() {
    const [one, other] = this.#witnesses.map((witness) => witness.replay());
    const { text, typed } = this.#documents[0];
    if (one !== other) return "two editors show different texts";
    return one.length === text.length + typed ? null : "the text is not as long as what was typed";
  }

  close() {
    for (const { socket } of this.#sessions) socket.end();
  }

  #press(typist, due) {
    const now = performance.now();
    this.late.add(now - due);
    typist.press(now);
  }

  #count(session, batch) {
    session.document.delivered += batch.count - (batch.by.get(session) ?? 0);
  }

  #time(session, batch) {
    this.#count(session, batch);
    const now = performance.now();
    for (const { author, first, count } of batch.parts) {
      if (author === session) continue;
      for (let key = first; key < first + count; key++) this.#add(author.keys[key], now);
    }
  }

  #add(pressed, now) {
    if (pressed < this.#from || pressed >= this.#to) return;
    this.all.add(now - pressed);
    (pressed < this.#middle ? this.early : this.later).add(now - pressed);
  }

  #unlessFailed(promise) {
    return Promise.race([promise, this.#failed]);
  }
}

// Takes turns: everybody acts so many times a second, each at moments of their own.
class Round {
  #turn = 0;

  constructor(everybody, began, perSecond, act) {
    this.everybody = shuffled(everybody); // those of one document are not neighbours
    this.began = began;
    this.step = 1_000 / perSecond / everybody.length;
    this.act = act;
  }

  // Acts for all whose turn it is. Returns when the next one is due.
  until(now, end) {
    let due = this.began + this.#turn * this.step;
    while (due <= now && due < end) {
      this.act(this.everybody[this.#turn % this.everybody.length], due);
      this.#turn += 1;
      due = this.began + this.#turn * this.step;
    }
    return due;
  }
}

function shuffled(things) {
  const left = [...things];
  return things.map(() => left.splice(Math.floor(Math.random() * left.length), 1)[0]);
}

async function each(sessions, open) {
  const left = [...sessions];
  const worker = async () => {
    for (let session = left.pop(); session; session = left.pop()) await open(session);
  };
  await Promise.all(Array.from({ length: OPENING_AT_ONCE }, worker));
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}

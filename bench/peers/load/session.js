// What the sessions of all protocols have in common: one editor in one document, and the batches of
// updates that it hears. Who types puts one letter at a time somewhere into the text.
import { WebSocket } from "./websocket.js";

const KEPT_BATCHES = 4_096;

// One document, and what was typed and delivered in it. `name` is the server's, `text` what it
// begins with.
export class Document {
  authors = new Map(); // sessions, by what the updates call them
  typed = 0;
  delivered = 0;
  #batches = new Map();

  constructor(name, text) {
    this.name = name;
    this.text = text;
  }

  // The batch that these bytes stand for. Everybody is sent the same ones: `parse` is called once.
  batch(key, parse) {
    let found = this.#batches.get(key);
    if (!found) {
      found = parse();
      if (this.#batches.size >= KEPT_BATCHES)
        this.#batches.delete(this.#batches.keys().next().value);
      this.#batches.set(key, found);
    }
    return found;
  }
}

// Some keys of one author: so many, from the author's key `first` on.
export class Part {
  constructor(author, first, count) {
    this.author = author;
    this.first = first;
    this.count = count;
  }
}

// What one message delivers.
export class Batch {
  count = 0; // of keys
  by = new Map(); // how many of each author

  constructor(parts) {
    this.parts = parts;
    for (const { author, count } of parts) {
      this.count += count;
      this.by.set(author, (this.by.get(author) ?? 0) + count);
    }
  }
}

export class Session {
  keys = []; // when each key was pressed, in ms
  log = null; // of a witness: all that it heard, and did, to be replayed
  onBatch = null;
  joined = new Promise((resolve, reject) => {
    this.join = resolve;
    this.fail = reject;
  });

  // `path` and `headers` are those of the handshake.
  constructor(document, path, headers = {}) {
    this.document = document;
    this.path = path;
    this.headers = headers;
    this.joined.catch(() => {}); // told by whoever waits for it
  }

  // Resolves once it has the text. `onEnd(error)` is called when the session ends by itself later.
  async open(port, onEnd) {
    const over = (error) => {
      this.fail(error);
      onEnd(error);
    };
    this.socket = new WebSocket((buffer, start, end) => this.hear(buffer, start, end), over);
    await Promise.race([this.socket.open(port, this.path, this.headers), this.joined]);
    this.opened();
    await this.joined;
  }

  opened() {}

  // The first one of a document that does not begin with its text puts it there.
  async seed() {}

  // Makes ready so many keys.
  prepare() {}

  press(now) {
    this.keys.push(now);
    this.document.typed += 1;
    this.type();
  }
}

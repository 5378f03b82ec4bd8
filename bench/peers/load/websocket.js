// A WebSocket client on a raw TCP connection: what it reads is only cut into messages, so that one
// core can take a million of them a second.
import { randomBytes } from "node:crypto";
import { connect } from "node:net";

// Everybody reads into the same bytes: they are looked at before the next read.
const ROOM = Buffer.allocUnsafeSlow(1 << 18);

const TEXT = 0x81;
const BINARY = 0x82;
const PING = 0x89;
const PONG = 0x8a;
const CLOSE = 0x88;

export class WebSocket {
  bytes = 0; // that came in, frames' heads included
  #connection;
  #onMessage;
  #onEnd;
  #upgraded = null; // called with the end of the handshake
  #head = "";
  #rest = null; // an incomplete frame: what is there, or all its room with `#filled` bytes in use
  #filled = 0;
  #ended = false;

  // `onMessage(buffer, start, end)` may use the bytes only until it returns. `onEnd(error)` is
  // called once, unless `end` was called before.
  constructor(onMessage, onEnd) {
    this.#onMessage = onMessage;
    this.#onEnd = onEnd;
  }

  // Shakes hands. Resolves when the server has agreed; if it has not, `onEnd` is called.
  open(port, path, headers) {
    const callback = (count) => {
      this.#read(count);
      return true;
    };
    const onread = { buffer: ROOM, callback };
    this.#connection = connect({ port, host: "127.0.0.1", noDelay: true, onread });
    this.#connection.on("error", (error) => this.#over(error.message));
    this.#connection.on("close", () => this.#over("the connection was closed"));
    const lines = {
      Host: `127.0.0.1:${port}`,
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": randomBytes(16).toString("base64"),
      ...headers,
    };
    const head = Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`);
    this.#connection.write(`GET ${path} HTTP/1.1\r\n${head.join("")}\r\n`);
    return new Promise((resolve) => {
      this.#upgraded = resolve;
    });
  }

  // Sends what `frame` made.
  send(bytes) {
    this.#connection.write(bytes);
  }

  end() {
    this.#ended = true;
    this.#connection.destroy();
  }

  #over(reason) {
    if (this.#ended) return;
    this.end();
    this.#onEnd(new Error(reason));
  }

  #read(count) {
    this.bytes += count;
    if (this.#upgraded) this.#upgrade(count);
    else this.#take(0, count);
  }

  #upgrade(count) {
    const before = this.#head.length;
    this.#head += ROOM.latin1Slice(0, count);
    const end = this.#head.indexOf("\r\n\r\n");
    if (end < 0) return;
    if (!this.#head.startsWith("HTTP/1.1 101")) return this.#over(this.#head);
    this.#upgraded();
    this.#upgraded = null;
    this.#take(end + 4 - before, count);
  }

  // Takes what was read into the room, after what is left of the reads before.
  #take(start, end) {
    const rest = this.#rest;
    let buffer = ROOM;
    let at = start;
    if (rest && this.#filled < rest.length) {
      const taken = Math.min(rest.length - this.#filled, end - start);
      ROOM.copy(rest, this.#filled, start, start + taken);
      this.#filled += taken;
      if (this.#filled < rest.length) return;
      this.#rest = null;
      this.#frames(rest, 0, rest.length);
      at = start + taken;
    } else if (rest) {
      buffer = Buffer.concat([rest, ROOM.subarray(start, end)]);
      this.#rest = null;
      at = 0;
    }
    const last = buffer === ROOM ? end : buffer.length;
    this.#keep(buffer, this.#frames(buffer, at, last), last);
  }

  #keep(buffer, at, end) {
    if (at === end || this.#ended) return;
    const span = frameSpan(buffer, at, end);
    this.#filled = end - at;
    this.#rest = Buffer.allocUnsafe(span ? span.head + span.size : this.#filled);
    buffer.copy(this.#rest, 0, at, end);
  }

  // Handles all whole frames. Returns where the first incomplete one begins.
  #frames(buffer, start, end) {
    let at = start;
    while (!this.#ended) {
      const span = frameSpan(buffer, at, end);
      if (!span || at + span.head + span.size > end) break;
      const kind = buffer[at];
      at += span.head + span.size;
      this.#frame(kind, buffer, at - span.size, at);
    }
    return at;
  }

  #frame(kind, buffer, start, end) {
    if (kind === TEXT || kind === BINARY) this.#onMessage(buffer, start, end);
    else if (kind === PING) this.send(masked(PONG, Buffer.from(buffer.subarray(start, end))));
    else if (kind === CLOSE) {
      const code = end - start < 2 ? 1005 : buffer.readUInt16BE(start);
      this.#over(`closed with ${code} ${buffer.toString("utf8", start + 2, end)}`);
    } else if (kind !== PONG) this.#over(`a frame of another kind: ${kind}`);
  }
}

// The only span, made anew by each call of `frameSpan`: it is called for every frame.
const SPAN = { head: 0, size: 0 };

// The sizes of a server's frame, of its head and of its payload; null if they are not there yet.
function frameSpan(buffer, at, end) {
  if (end - at < 2) return null;
  const size = buffer[at + 1];
  if (size < 126) {
    SPAN.head = 2;
    SPAN.size = size;
  } else if (size === 126) {
    if (end - at < 4) return null;
    SPAN.head = 4;
    SPAN.size = buffer.readUInt16BE(at + 2);
  } else {
    if (end - at < 10) return null;
    SPAN.head = 10;
    SPAN.size = buffer.readUInt32BE(at + 6);
  }
  return SPAN;
}

// A client's message as one frame: a string as text, bytes as binary.
export function frame(message) {
  return typeof message === "string"
    ? masked(TEXT, Buffer.from(message))
    : masked(BINARY, Buffer.from(message));
}

// Masked by zeros: the server has its work with it, the load has none.
function masked(kind, payload) {
  const size = payload.length;
  const extra = size < 126 ? 0 : size < 65_536 ? 2 : 8;
  const head = Buffer.alloc(6 + extra);
  head[0] = kind;
  head[1] = 0x80 | (extra === 0 ? size : extra === 2 ? 126 : 127);
  if (extra === 2) head.writeUInt16BE(size, 2);
  if (extra === 8) head.writeUInt32BE(size, 6);
  return Buffer.concat([head, payload]);
}

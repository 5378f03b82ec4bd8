import { undo } from "@codemirror/commands";
import { expect, test } from "vitest";
import type { Held, Unsent } from "../src/binding/index.ts";
import { Connection, type Replica } from "../src/connection/index.ts";
import {
  type Entry,
  type Keep,
  MemoryLocks,
  MemoryStore,
  openKeeper,
  rescue,
  type Store,
} from "../src/keep/index.ts";
import { settled } from "./support/clock.ts";
import { fresh, ME, refused, resumed, saved, updates } from "./support/script.ts";
import { Stage } from "./support/stage.ts";
import { World } from "./support/world.ts";

const SHELF = { owner: "ann", document: "doc" };
const TOKENS = { current: async () => "t", renewed: async () => "t" };

/** A browser, in which tabs come and go. Its disk takes a moment, where it is told to. */
class Browser {
  readonly world = new World();
  readonly disk = new Disk(this.world);
  readonly locks = new MemoryLocks();
  readonly #held: (() => void)[][] = [];

  async tab(shelf = SHELF): Promise<Stage> {
    const held: (() => void)[] = [];
    this.#held.push(held);
    const locks: Keep["locks"] = {
      take: async (name) => {
        const release = await this.locks.take(name);
        if (release) held.push(release);
        return release;
      },
    };
    const opening = openKeeper({ store: this.disk, locks }, shelf, this.world);
    await this.world.pass(1_000);
    const keeper = await opening;
    const stage = new Stage(this.world, keeper);
    await settled();
    return stage;
  }

  /** A tab is gone: nothing more comes of it. */
  kill(tab: Stage, number = 0): void {
    tab.world.socket.drop();
    tab.binding.connection.close();
    for (const release of this.#held[number] ?? []) release();
  }

  get keep(): Keep {
    return { store: this.disk, locks: this.locks };
  }
}

class Disk extends MemoryStore implements Store {
  delay_ms = 0;
  broken = false;
  readonly written: Entry[] = [];
  readonly #world: World;

  constructor(world: World) {
    super();
    this.#world = world;
  }

  override async write(name: string, shelf: string, entry: Entry): Promise<void> {
    if (this.delay_ms > 0) {
      await new Promise<void>((resolve) => this.#world.schedule(this.delay_ms, resolve));
    }
    if (this.broken) throw new Error("the disk is full");
    this.written.push(entry);
    await super.write(name, shelf, entry);
  }

  get shelf(): Promise<readonly string[]> {
    return this.names("ann/doc");
  }
}

async function welcomed(tab: Stage, text: string, revision = 0, more: object = {}): Promise<void> {
  tab.world.socket.accept();
  tab.say(fresh(text, revision, more));
  await settled();
}

test("a push leaves when what it says is kept, and not before", async () => {
  const browser = new Browser();
  const tab = await browser.tab();
  await welcomed(tab, "ab");
  browser.disk.delay_ms = 50;
  tab.type(1, "X");
  await browser.world.pass(49);
  expect(tab.pushes()).toEqual([]);
  await browser.world.pass(60);
  expect(tab.pushes()).toEqual(['0/1: [1,[0,"X"],1]']);
  const [written] = browser.disk.written;
  expect(written).toMatchObject({
    text: "ab",
    unsent: [[1, [0, "X"], 1]],
    memory: { seq: 1, flight: { seq: 1, count: 1 }, at: { revision: 0, mark: "m0" } },
  });
});

test("what is typed while a push waits for the disk goes into the next one", async () => {
  const browser = new Browser();
  const tab = await browser.tab();
  await welcomed(tab, "");
  browser.disk.delay_ms = 50;
  for (const [i, letter] of [..."abcd"].entries()) tab.type(i, letter);
  await browser.world.pass(500);
  expect(tab.pushes()).toEqual(['0/1: [[0,"a"]]']);
  expect(browser.disk.written.length).toBe(2);
  expect(browser.disk.written.at(-1)?.unsent.length).toBe(4);
});

test("who only reads leaves nothing behind", async () => {
  const browser = new Browser();
  const tab = await browser.tab();
  await welcomed(tab, "ab");
  tab.say(updates(1, ["other", 1, [2, [0, "c"]]]));
  await browser.world.pass(10_000);
  expect(browser.disk.written).toEqual([]);
});

test("when all is confirmed and saved, the record goes, but not between two words", async () => {
  const browser = new Browser();
  const tab = await browser.tab();
  await welcomed(tab, "");
  tab.type(0, "a");
  await settled();
  tab.say(updates(1, [ME, 1, [[0, "a"]]]));
  tab.say(saved(1));
  await browser.world.pass(2_000);
  expect((await browser.disk.shelf).length).toBe(1);
  tab.type(1, "b");
  await browser.world.pass(2_000);
  tab.say(updates(2, [ME, 2, [1, [0, "b"]]]));
  await browser.world.pass(10);
  expect((await browser.disk.shelf).length).toBe(1);
  tab.say(saved(2));
  await browser.world.pass(3_000);
  expect(await browser.disk.shelf).toEqual([]);
  expect(browser.disk.written.filter(({ text }) => text !== null).length).toBe(1);
});

test("H7 a reload goes on as the same client, and names the push in flight", async () => {
  const browser = new Browser();
  const tab = await browser.tab();
  await welcomed(tab, "ab", 4);
  tab.type(2, "X");
  await settled();
  tab.say(updates(5, ["other", 1, [[0, "> "], 2]]));
  tab.type(5, "Y");
  await settled();
  const before = tab.world.socket;
  browser.kill(tab);

  const again = await browser.tab();
  expect(again.text).toBe("> abXY");
  const { socket } = again.world;
  expect(socket.url.searchParams.get("client")).toBe(before.url.searchParams.get("client"));
  expect(socket.asks).toEqual({ revision: "5", mark: "m5", inflight: "1" });
  socket.accept();
  again.say(resumed(5, { head: 6, inflight: "ordered" }));
  again.say(updates(6, [ME, 1, [4, [0, "X"]]]));
  await settled();
  expect(again.text).toBe("> abXY");
  expect(again.pushes()).toEqual(['6/2: [5,[0,"Y"]]']);
});

test("H7 a reload whose push in flight is void sends all of it under the next seq", async () => {
  const browser = new Browser();
  const tab = await browser.tab();
  await welcomed(tab, "");
  tab.type(0, "a");
  tab.type(1, "b");
  await settled();
  browser.kill(tab);
  const again = await browser.tab();
  again.world.socket.accept();
  again.say(resumed(0, { inflight: "void" }));
  await settled();
  expect(again.pushes()).toEqual(['0/2: [[0,"a"]] [1,[0,"b"]]']);
});

test("H7 a reload counts the updates in flight that others' have made empty", async () => {
  const browser = new Browser();
  const tab = await browser.tab();
  await welcomed(tab, "ab");
  tab.say({ type: "beat", revision: 0, mark: "m0", saved: 0 });
  tab.world.socket.drop();
  tab.type(0, "", 1);
  tab.type(1, "c");
  await browser.world.pass(5_000);
  tab.world.socket.accept();
  tab.say(resumed(0));
  tab.say(updates(1, ["other", 1, [[1], 1]]));
  tab.type(2, "d");
  await settled();
  browser.kill(tab);
  const again = await browser.tab();
  expect(again.text).toBe("bcd");
  again.world.socket.accept();
  again.say(resumed(1, { head: 3, inflight: "ordered" }));
  again.say(updates(2, [ME, 1, [1]], [ME, 1, [1, [0, "c"]]]));
  await settled();
  expect(again.binding.status.connection.kind).toBe("live");
  expect(again.pushes()).toEqual(['3/2: [2,[0,"d"]]']);
});

test("L3 whom a stray handshake of the former page replaces comes back", async () => {
  const browser = new Browser();
  const tab = await browser.tab();
  await welcomed(tab, "");
  tab.type(0, "a");
  await settled();
  browser.kill(tab);
  const again = await browser.tab();
  again.world.socket.accept();
  again.say(resumed(0, { inflight: "void" }));
  await settled();
  again.world.socket.drop(4409);
  expect(again.binding.status.connection.kind).toBe("waiting");
});

test("H6 a reload whose history is gone carries what is unsent over", async () => {
  const browser = new Browser();
  const tab = await browser.tab();
  await welcomed(tab, "one two", 4);
  tab.type(7, " three");
  await settled();
  browser.kill(tab);
  const again = await browser.tab();
  await welcomed(again, "zero one two", 9, { reset: true, inflight: "void" });
  expect(again.text).toBe("zero one two three");
  expect(again.pushes()).toEqual(['9/2: [12,[0," three"]]']);
});

test("a reload without a network shows the text, and what was typed before the first welcome", async () => {
  const browser = new Browser();
  const tab = await browser.tab();
  tab.type(0, "mine");
  await settled();
  browser.kill(tab);
  const again = await browser.tab();
  expect(again.text).toBe("mine");
  expect(again.world.socket.asks).toEqual({});
  await welcomed(again, "theirs");
  expect(again.text).toBe("theirsmine");
});

test("a second tab and a duplicated one are clients of their own", async () => {
  const browser = new Browser();
  const tab = await browser.tab();
  const id = () => browser.world.socket.url.searchParams.get("client");
  const first = id();
  await welcomed(tab, "ab");
  tab.type(1, "X");
  await settled();
  const other = await browser.tab();
  expect(other.text).toBe("");
  expect(other.world.socket.asks).toEqual({});
  expect(id()).not.toBe(first);
});

test("what one person left behind is not taken up by another", async () => {
  const browser = new Browser();
  const tab = await browser.tab();
  tab.type(0, "mine");
  await settled();
  browser.kill(tab);
  expect((await browser.tab({ ...SHELF, owner: "ben" })).text).toBe("");
  expect((await browser.tab({ ...SHELF, document: "other" })).text).toBe("");
  expect((await browser.tab()).text).toBe("mine");
});

test("a tab that left its document takes it up again", async () => {
  const browser = new Browser();
  const tab = await browser.tab();
  tab.type(0, "mine");
  await tab.binding.close();
  expect((await browser.tab()).text).toBe("mine");
});

test("leaving a document in which all is saved leaves nothing behind", async () => {
  const browser = new Browser();
  const tab = await browser.tab();
  await welcomed(tab, "");
  tab.type(0, "a");
  await settled();
  tab.say(updates(1, [ME, 1, [[0, "a"]]]));
  tab.say(saved(1));
  await tab.binding.close();
  expect(await browser.disk.shelf).toEqual([]);
});

test("a tab that closes as soon as all is saved is not taken for one with unsent text", async () => {
  const browser = new Browser();
  const tab = await browser.tab();
  await welcomed(tab, "");
  tab.type(0, "a");
  await settled();
  tab.say(updates(1, [ME, 1, [[0, "a"]]]));
  await settled();
  tab.say(saved(1));
  browser.kill(tab);
  const again = await browser.tab();
  expect(again.world.socket.asks).toEqual({});
  expect(await browser.disk.shelf).toEqual([]);
});

test("a disk that fails is gone without, and the page is told", async () => {
  const browser = new Browser();
  const tab = await browser.tab();
  expect(tab.binding.status.kept).toBe(true);
  await welcomed(tab, "");
  browser.disk.broken = true;
  tab.type(0, "a");
  await settled();
  expect(tab.pushes()).toEqual(['0/1: [[0,"a"]]']);
  expect(tab.binding.status.kept).toBe(false);
  browser.disk.broken = false;
  tab.type(1, "b");
  await settled();
  expect(tab.binding.status.kept).toBe(true);
  expect(browser.disk.written.at(-1)?.text).toBe("");
});

test("what is sent while the disk fails is not sent again by a reload", async () => {
  const browser = new Browser();
  const tab = await browser.tab();
  await welcomed(tab, "");
  tab.type(0, "a");
  await settled();
  browser.disk.broken = true;
  tab.say(updates(1, [ME, 1, [[0, "a"]]]));
  tab.type(1, "b");
  await browser.world.pass(10);
  expect(await browser.disk.shelf).toEqual([]);
});

test("a disk that does not answer holds a push up once, and not for long", async () => {
  const browser = new Browser();
  const tab = await browser.tab();
  await welcomed(tab, "");
  browser.disk.delay_ms = 1_000_000;
  tab.type(0, "a");
  await browser.world.pass(2_000);
  expect(tab.pushes()).toEqual(['0/1: [[0,"a"]]']);
  expect(tab.binding.status.kept).toBe(false);
  tab.say(updates(1, [ME, 1, [[0, "a"]]]));
  tab.type(1, "b");
  await browser.world.pass(10);
  expect(tab.pushes()).toEqual(['1/2: [1,[0,"b"]]']);
});

test("without a place to keep anything the editor works, and says so", async () => {
  expect(await openKeeper(null, SHELF)).toBeNull();
  const store = new MemoryStore();
  store.names = () => Promise.reject(new Error("no database"));
  expect(await openKeeper({ store, locks: new MemoryLocks() }, SHELF)).toBeNull();
  expect(new Stage().binding.status.kept).toBe(false);
});

test("P4 a session that ends before the push is kept sends it never, and names it in the next", async () => {
  const browser = new Browser();
  const tab = await browser.tab();
  await welcomed(tab, "");
  browser.disk.delay_ms = 50;
  tab.type(0, "a");
  const former = tab.world.socket;
  const socket = await tab.broken();
  await browser.world.pass(100);
  expect(former.heard().filter((message) => (message as { type: string }).type === "push")).toEqual(
    [],
  );
  expect(socket.asks).toEqual({ revision: "0", mark: "m0", inflight: "1" });
});

test("P5 what was refused for good does not come back with a reload", async () => {
  const browser = new Browser();
  const tab = await browser.tab();
  await welcomed(tab, "ab");
  tab.type(1, "X");
  await settled();
  tab.say(refused(1, "forbidden"));
  await settled();
  browser.kill(tab);
  const again = await browser.tab();
  await welcomed(again, "ab");
  expect(again.pushes()).toEqual([]);
});

test("a long journal gives way to the text", async () => {
  const browser = new Browser();
  const tab = await browser.tab();
  await welcomed(tab, "");
  tab.type(0, "a");
  await settled();
  const many = Array.from(
    { length: 1_100 },
    (_, i): [string, number, [number, [number, string]]] => ["other", i, [i, [0, "x"]]],
  );
  const [first, ...rest] = many;
  if (first) tab.say(updates(1, ["other", 0, [[0, "x"]]], ...rest));
  tab.type(0, "b");
  await settled();
  expect(browser.disk.written.at(-1)).toMatchObject({ text: "x".repeat(1_100), journal: [] });
  browser.kill(tab);
  expect((await browser.tab()).text.length).toBe(1_102);
});

test("what several tabs left behind is sent by each of the clients that they were", async () => {
  const browser = new Browser();
  const tabs = [await browser.tab(), await browser.tab(), await browser.tab()];
  const ids = browser.world.sockets.map(({ url }) => url.searchParams.get("client"));
  for (const [i, tab] of tabs.entries()) {
    browser.world.sockets[i]?.accept();
    browser.world.sockets[i]?.say(fresh("", 0));
    tab.type(0, `tab ${i}`);
    await settled();
  }
  for (const [i, tab] of tabs.entries()) browser.kill(tab, i);
  browser.world.sockets.length = 0;

  const again = await browser.tab();
  expect(again.text).toBe("tab 0");
  const rejected: Unsent[] = [];
  const connect = (replica: Replica, changed: () => void, held: Held) =>
    new Connection(
      { origin: "http://s", document: "doc", tokens: TOKENS, environment: browser.world, ...held },
      replica,
      changed,
    );
  const { signal } = new AbortController();
  const rescuing = rescue({
    keep: browser.keep,
    shelf: SHELF,
    connect,
    rejected: (unsent) => rejected.push(unsent),
    signal,
    clock: browser.world,
  });
  await settled();

  // The second tab's push had arrived.
  const second = browser.world.socket;
  expect(second.url.searchParams.get("client")).toBe(ids[1]);
  second.accept();
  second.say(resumed(0, { head: 1, inflight: "ordered" }));
  second.say(updates(1, [ME, 1, [[0, "tab 1"]]]));
  second.say(saved(1));
  await settled();
  expect(second.closed).toBe(true);

  // The third one's had not, and is refused now.
  const third = browser.world.socket;
  expect(third.url.searchParams.get("client")).toBe(ids[2]);
  third.accept();
  third.say(resumed(0, { inflight: "void" }));
  await settled();
  third.say(refused(2, "document_full"));
  await settled();
  expect(rejected).toMatchObject([{ code: "document_full", typed: ["tab 2"] }]);
  await rescuing;
  expect((await browser.disk.shelf).length).toBe(1);
  expect(again.text).toBe("tab 0");
});

test("X2 what was left behind for a document that is gone is handed over, and kept no more", async () => {
  const browser = new Browser();
  const tab = await browser.tab();
  tab.type(0, "mine");
  await settled();
  browser.kill(tab);
  const rejected: Unsent[] = [];
  const rescuing = rescue({
    keep: browser.keep,
    shelf: SHELF,
    connect: (replica, changed, held) =>
      new Connection(
        {
          origin: "http://s",
          document: "doc",
          tokens: TOKENS,
          environment: browser.world,
          ...held,
        },
        replica,
        changed,
      ),
    rejected: (unsent) => rejected.push(unsent),
    signal: new AbortController().signal,
    clock: browser.world,
  });
  await settled();
  browser.world.socket.accept();
  browser.world.socket.drop(4404);
  await rescuing;
  expect(rejected).toMatchObject([{ code: "access_lost", typed: ["mine"] }]);
  expect(await browser.disk.shelf).toEqual([]);
});

test("an editor that begins with what was kept undoes nothing of it", async () => {
  const browser = new Browser();
  const tab = await browser.tab();
  tab.type(0, "mine");
  await settled();
  browser.kill(tab);
  const { editor } = await browser.tab();
  undo({ state: editor.state, dispatch: (transaction) => editor.dispatch([transaction]) });
  expect(editor.text).toBe("mine");
});

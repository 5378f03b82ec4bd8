import { expect } from "vitest";
import {
  type Changes,
  Connection,
  type ConnectionOptions,
  type Received,
  type Rejection,
  type Replica,
} from "../../src/connection/index.ts";
import { settled } from "./clock.ts";
import { at, fresh } from "./script.ts";
import { World } from "./world.ts";

/** Writes down what it is told, and has one text for every revision. */
export class Scribe implements Replica {
  told: unknown[] = [];
  content = "";
  failing = false;

  start(text: string, confirmed: number): void {
    this.told.push(["start", text, confirmed]);
  }
  receive(updates: readonly Received[]): void {
    if (this.failing) throw new RangeError("cannot follow");
    this.told.push(...updates.map(({ changes, own }) => [own ? "own" : "other", changes]));
  }
  ready(): void {
    this.told.push("ready");
  }
  reject(rejection: Rejection): void {
    this.told.push(["reject", rejection.code]);
  }
  text(): Iterable<string> {
    return [this.content];
  }
  /** What it was told since this was last asked, but for being ready. */
  news(): unknown[] {
    return this.told.splice(0).filter((line) => line !== "ready");
  }
}

export const TYPED: Changes[] = [[[0, "a"]]];

export function begin(options: Partial<ConnectionOptions> = {}) {
  const world = new World();
  const scribe = new Scribe();
  const tokens = {
    asked: [] as string[],
    async current() {
      tokens.asked.push("current");
      return "t1";
    },
    async renewed() {
      tokens.asked.push("renewed");
      return "t2";
    },
  };
  const connection = new Connection(
    { origin: "http://server", document: "doc", tokens, environment: world, ...options },
    scribe,
    () => {},
  );
  connection.open();
  return { world, scribe, tokens, connection };
}

/** A session on `text` at `revision`. */
export async function live(revision = 0, options: Partial<ConnectionOptions> = {}) {
  const stage = begin(options);
  await settled();
  stage.world.socket.accept();
  stage.world.socket.say(fresh("", revision));
  stage.scribe.news();
  return stage;
}

/** The next session's socket, once it is being opened. */
export async function next(world: World) {
  const before = world.sockets.length;
  for (let i = 0; i < 600 && world.sockets.length === before; i++) await world.pass(100);
  expect(world.sockets.length).toBe(before + 1);
  world.socket.accept();
  return world.socket;
}

/** A resume at `revision`, as it stands in the query. */
export function asked(revision: number) {
  const { mark } = at(revision);
  return { revision: String(revision), mark };
}

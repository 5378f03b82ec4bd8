import { expect, test } from "vitest";
import { steady } from "../src/connection/environment.ts";
import { watchWake } from "../src/connection/index.ts";
import { Clock, settled } from "./support/clock.ts";
import { live, next } from "./support/scribe.ts";
import { beat, resumed } from "./support/script.ts";

class Page extends EventTarget {
  visibilityState = "visible";
  look(state: string): void {
    this.visibilityState = state;
    this.dispatchEvent(new Event("visibilitychange"));
  }
}

/** A machine whose clock may jump on while nothing runs. */
class Machine extends Clock {
  #slept = 0;
  override now(): number {
    return super.now() + this.#slept;
  }

  sleep(ms: number): void {
    this.#slept += ms;
  }
}

function watched() {
  const page = new Page();
  const window = new EventTarget();
  const machine = new Machine();
  const leaving = new AbortController();
  let woken = 0;
  const wake = () => {
    woken++;
  };
  watchWake(wake, leaving.signal, { window, document: page }, machine);
  const count = () => {
    const before = woken;
    woken = 0;
    return before;
  };
  return { page, window, machine, leaving, count };
}

test.each(["online", "pageshow"])("%s wakes", (name) => {
  const { window, count } = watched();
  window.dispatchEvent(new Event(name));
  expect(count()).toBe(1);
});

test("a page that is looked at again wakes, and one that is left does not", () => {
  const { page, count } = watched();
  page.look("hidden");
  expect(count()).toBe(0);
  page.look("visible");
  expect(count()).toBe(1);
});

test("a timer that comes much too late tells that the machine has slept", async () => {
  const { machine, count } = watched();
  await machine.pass(60_000);
  expect(count()).toBe(0);
  machine.sleep(3_600_000);
  await machine.pass(5_000);
  expect(count()).toBe(1);
  await machine.pass(60_000);
  expect(count()).toBe(0);
});

test("nothing wakes any more when the page is left", async () => {
  const { window, page, machine, leaving, count } = watched();
  leaving.abort();
  window.dispatchEvent(new Event("online"));
  page.look("visible");
  machine.sleep(3_600_000);
  await machine.pass(60_000);
  expect(count()).toBe(0);
});

test("awake while it waits, the connection tries at once", async () => {
  const { world, connection } = await live();
  world.socket.drop();
  connection.wake();
  await settled();
  expect(world.sockets.length).toBe(2);
});

test("H9 awake while the server asked to wait, the connection waits", async () => {
  const { world, connection } = await live();
  world.socket.say({ type: "goodbye", retry_after_ms: 10_000 });
  world.socket.drop(1012);
  connection.wake();
  expect(connection.state.kind).toBe("waiting");
});

test("U5 awake with a beat overdue, the connection is another one at once", async () => {
  const { world, connection } = await live();
  const dead = world.socket;
  let slept_ms = 0;
  const now = world.now.bind(world);
  world.now = () => now() + slept_ms;
  slept_ms = 20_000;
  connection.wake();
  expect(dead.closed).toBe(true);
  expect(connection.state.kind).toBe("connecting");
});

test("U5 awake and in time, nothing is sent, but the next beat may not be late", async () => {
  const { world, connection } = await live();
  await world.pass(3_000);
  connection.wake();
  expect(world.socket.heard()).toEqual([]);
  await world.pass(8_999);
  expect(connection.state.kind).toBe("live");
  await world.pass(1);
  expect(connection.state).toMatchObject({ kind: "waiting", why: "silent" });
  const socket = await next(world);
  socket.say(resumed(0));
  connection.wake();
  await world.pass(11_000);
  socket.say(beat(0));
  await world.pass(19_999);
  expect(connection.state.kind).toBe("live");
});

test("awake while it is idle or stopped, nothing happens", async () => {
  const { world, connection } = await live();
  connection.close();
  connection.wake();
  await world.pass(60_000);
  expect(connection.state).toEqual({ kind: "stopped", reason: "closed" });
});

test("the platform's clock goes on when the wall's goes back", () => {
  const wall = [1_000, 1_500, 900, 1_000];
  const now = steady(() => wall.shift() ?? 0);
  expect([now(), now(), now()]).toEqual([1_500, 1_500, 1_600]);
});

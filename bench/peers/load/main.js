// The load: reads a plan, prints events, a line of JSON each.   node main.js < plan.json
//   joined    everybody has the text
//   began     the window in which is measured begins
//   ended     it ends
//   measured  everything is told; the last line
import { readFileSync } from "node:fs";
import { Crowd } from "./crowd.js";

const PROTOCOLS = {
  collab: async () => (await import("./collab.js")).default,
  hocuspocus: async () => (await import("./yjs.js")).Hocuspocus,
  "y-websocket": async () => (await import("./yjs.js")).YWebSocket,
  pycrdt: async () => (await import("./yjs.js")).YWebSocket,
  sharedb: async () => (await import("./sharedb.js")).default,
};

function tell(event, more = {}) {
  console.log(JSON.stringify({ event, ...more }));
}

// What is used and counted so far.
function reading(crowd) {
  const { user, system } = process.cpuUsage();
  const { typed, due, delivered, bytes, presences } = crowd;
  return {
    ms: performance.now(),
    cpu_ms: (user + system) / 1_000,
    typed,
    due,
    delivered,
    bytes,
    presences,
  };
}

const plan = JSON.parse(readFileSync(0, "utf8"));
const crowd = new Crowd(plan, await PROTOCOLS[plan.server]());
await crowd.open();
tell("joined");
const readings = [];
await crowd.type(() => {
  readings.push(reading(crowd));
  tell(readings.length === 1 ? "began" : "ended");
});
const drain_ms = await crowd.drained(plan.patience_s * 1_000);
const [began, ended] = readings;
const window = Object.fromEntries(
  Object.keys(began).map((name) => [name, ended[name] - began[name]]),
);
tell("measured", {
  window,
  backlog: ended.due - ended.delivered,
  drain_ms,
  typed: crowd.typed,
  due: crowd.due,
  delivered: crowd.delivered,
  refusals: crowd.refusals,
  late: crowd.late.summary,
  heard: crowd.all.summary,
  early: crowd.early.summary,
  later: crowd.later.summary,
  wrong: crowd.delivered === crowd.due ? crowd.wrongTexts() : null,
});
crowd.close();

import { once } from "node:events";
import { afterEach, expect, test, vi } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { platform } from "../src/connection/index.ts";

afterEach(() => vi.unstubAllGlobals());

test("the platform's sockets open, carry messages both ways, and tell the close code", async () => {
  vi.stubGlobal("WebSocket", WebSocket);
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  server.on("connection", (socket) => {
    socket.on("message", (data) => {
      socket.send(`${data}!`);
      socket.close(4410);
    });
  });
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const events: unknown[] = [];
  await new Promise<void>((resolve) => {
    const socket = platform.connect(`ws://127.0.0.1:${port}/`, {
      opened: () => {
        events.push("opened");
        socket.send("zażółć 😀");
      },
      received: (data) => events.push(data),
      closed: (code) => {
        events.push(code);
        resolve();
      },
    });
  });
  expect(events).toEqual(["opened", "zażółć 😀!", 4410]);
  server.close();
});

test("a handshake that is refused closes without ever having opened", async () => {
  vi.stubGlobal("WebSocket", WebSocket);
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", verifyClient: () => false });
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const events: unknown[] = [];
  await new Promise<void>((resolve) => {
    platform.connect(`ws://127.0.0.1:${port}/`, {
      opened: () => events.push("opened"),
      received: () => {},
      closed: (code) => {
        events.push(code);
        resolve();
      },
    });
  });
  expect(events).toEqual([1006]);
  server.close();
});

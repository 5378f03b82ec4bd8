import { defineConfig } from "vitest/config";

export default defineConfig({
  build: { target: "es2022", sourcemap: true },
  // The server puts a new nonce in its place with each page that it serves.
  html: { cspNonce: "__CSP_NONCE__" },
  server: { proxy: { "/v1": { target: "http://127.0.0.1:8000", ws: true } } },
  // The examples have no packages of their own.
  resolve: { dedupe: ["@codemirror/state"] },
  test: { environment: "node", include: ["tests/**/*.test.ts"], testTimeout: 30_000 },
});

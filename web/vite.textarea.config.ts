import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The example beside the page: `/textarea.html`. It has no packages of its own. */
export default defineConfig({
  root: here("../examples/textarea"),
  publicDir: false,
  html: { cspNonce: "__CSP_NONCE__" },
  resolve: { alias: { "@codemirror/state": here("node_modules/@codemirror/state") } },
  build: {
    target: "es2022",
    outDir: here("dist"),
    emptyOutDir: false,
    rolldownOptions: { input: here("../examples/textarea/textarea.html") },
  },
});

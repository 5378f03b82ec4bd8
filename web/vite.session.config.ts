import { defineConfig } from "vite";

/** The whole-session harness as one file for Node; packages stay where npm put them. */
export default defineConfig({
  publicDir: false,
  build: {
    ssr: "session/session.ts",
    outDir: "dist-session",
    target: "node20",
    rolldownOptions: { output: { entryFileNames: "session.js" } },
  },
});

// Hocuspocus as its README starts it: in memory, without hooks.   node hocuspocus.js PORT
import { Server } from "@hocuspocus/server";

new Server({ address: "127.0.0.1", port: Number(process.argv[2]), quiet: true }).listen();

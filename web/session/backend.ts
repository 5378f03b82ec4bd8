import type { Environment } from "../src/connection/index.ts";

/** A server to hold sessions on: the real one, or a model of it in the tests. */
export interface Backend {
  readonly origin: string;
  readonly environment: Environment;
  /** A guest's token. */
  guest(name: string): Promise<string>;
  /** A new document's ID. */
  create(token: string, title: string, text: string): Promise<string>;
  text(token: string, document: string): Promise<string>;
}

/** Where tokens come from. Any other error than {@link Denied} is one that may pass. */
export interface TokenSource {
  /** The token at hand. */
  current(): Promise<string>;
  /** Another one: the server does not take the last any more. */
  renewed(): Promise<string>;
}

/** There is no token to be had for this person. */
export class Denied extends Error {
  override readonly name = "Denied";
}

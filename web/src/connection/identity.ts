/**
 * A new client ID: 24 of `A-Z a-z 0-9 _ -`, from 144 random bits.
 *
 * It is a secret, and belongs to one editor in one page: keep it in memory and nowhere else, for a
 * duplicated tab that found it would end the first one's session.
 */
export function newClientId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(18));
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_");
}

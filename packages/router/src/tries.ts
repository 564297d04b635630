/** How often a session is placed for one request, when its place goes before the request was answered. */
const PLACINGS = 3;

/** Requests that may be sent twice without harm (RFC 9110, 9.2.2). */
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method);
}

/**
 * How often one request may still be tried. What no instance has seen is placed anew as often as a session is. What an
 * instance may have seen, which then died, is sent to one more at the most, and only where it does no harm twice: it may
 * be the very request that ended the instance, and is not to end them all.
 */
export class Tries {
  readonly #harmlessTwice: boolean;
  #placings = 0;
  #sentAgain = false;

  constructor(harmlessTwice: boolean) {
    this.#harmlessTwice = harmlessTwice;
  }

  /** Counts one that begins. */
  placing(): void {
    this.#placings += 1;
  }

  /** Takes one more, where there is one left. @param seen an instance may have seen the request */
  take(seen: boolean): boolean {
    if (this.#placings >= PLACINGS || (seen && (!this.#harmlessTwice || this.#sentAgain))) return false;
    if (seen) this.#sentAgain = true;
    return true;
  }
}

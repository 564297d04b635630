/** Time, as an argument. */
export interface Clock {
  /** Epoch time in ms. MUST NOT be used to measure a span that matters: it may jump. */
  now(): number;
  /**
   * Runs once after at least `ms`; returns what cancels it. MUST NOT keep a process alive by itself, and MUST NOT run
   * early for spans of weeks (setTimeout does, above 2^31 - 1).
   */
  after(ms: number, run: () => void): () => void;
}

/** Whether what the page shows is what is. */
export type Freshness =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  /** @param sinceMs how long ago what is shown was true */
  | { readonly kind: "stale"; readonly ageMs: number; readonly why: "silent" | "broken" };

/** Control says something every 5 s at the least: after this long without a word what is shown is old, ms. */
export const SILENT_MS = 12_000;

/** What is known of the stream, in ms of a clock that only goes on. */
export interface Heard {
  /** When the last status came; null: none yet. */
  readonly statusAt: number | null;
  /** Whether the stream is open. */
  readonly open: boolean;
}

export function freshnessOf({ statusAt, open }: Heard, now: number): Freshness {
  if (statusAt === null) return { kind: "connecting" };
  const ageMs = Math.max(0, now - statusAt);
  if (!open) return { kind: "stale", ageMs, why: "broken" };
  return ageMs > SILENT_MS ? { kind: "stale", ageMs, why: "silent" } : { kind: "live" };
}

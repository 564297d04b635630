import { signal } from "@preact/signals";
import type { SessionOrder } from "../data/api.ts";

/** What is looked for among the sessions, besides the service and the release that the address names. */
export const search = signal("");
export const state = signal<"" | "open" | "lingering">("");
export const order = signal<SessionOrder>("oldest");

/** How many sessions are asked for at once: more as somebody scrolls on. */
export const LIMITS = [200, 2000, 10_000] as const;

/** How often so many are asked for anew, ms: what costs more is asked for less often. */
export function everyMsOf(limit: number): number {
  if (limit <= LIMITS[0]) return 3000;
  return limit <= LIMITS[1] ? 10_000 : 30_000;
}

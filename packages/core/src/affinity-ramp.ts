import { forecastLeft, type LeftPoint, type LiveGroup, openSessions } from "./forecast.ts";

/**
 * The affinity ramp before a cutover: sessions without a connection keep their place for less and less time, so that fewer of
 * them hold the old release afterwards. It counts for what begins to linger while it is in force; what lingers already keeps
 * the time that it was promised.
 */
export interface Preparation {
  /** When it begins, epoch ms. */
  readonly fromMs: number;
  /** When the linger has come down to its cutover value, epoch ms. */
  readonly untilMs: number;
  /** The cutover value, ms. */
  readonly lingerMs: number;
}

/** Each step is a new routing table, so there are few. */
const STEPS = 20;

/**
 * The linger in force, ms: its normal value up to `fromMs`, then linearly down in 20 equal steps, and its cutover value from
 * `untilMs` on. Never above the normal one. A clock that stepped back before `fromMs` gives the normal one.
 */
export function lingerAt(preparation: Preparation | null, normalMs: number, nowMs: number): number {
  if (preparation === null || !(nowMs >= preparation.fromMs)) return normalMs;
  const { fromMs, untilMs, lingerMs } = preparation;
  const leastMs = lingerMs < normalMs ? Math.max(0, lingerMs) : normalMs;
  if (!(nowMs < untilMs)) return leastMs;
  const step = Math.floor((STEPS * (nowMs - fromMs)) / (untilMs - fromMs));
  return Math.round(normalMs - ((normalMs - leastMs) * step) / STEPS);
}

/**
 * The tail after a cutover: which share of the sessions that hold the old release then still do, at each of the ascending
 * times from it, with their 80% interval. Asked twice, with the normal linger and with the prepared one, it tells what the ramp
 * is worth. It takes the sessions as they are now; without one, nothing is left.
 *
 * @param lingerers what is left of its linger, ms, for each session that lingers at the cutover
 */
export function shareLeft(
  groups: readonly LiveGroup[],
  lingerMs: number,
  timesMs: readonly number[],
  lingerers: ArrayLike<number> = [],
): LeftPoint[] {
  const points = forecastLeft(groups, timesMs, undefined, { lingerMs, lingerers });
  const sessions = Math.max(1, openSessions(groups) + lingerers.length);
  return points.map(({ afterMs, low, median, high }) => ({
    afterMs,
    low: low / sessions,
    median: median / sessions,
    high: high / sessions,
  }));
}

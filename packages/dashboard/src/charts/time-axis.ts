import { clockText, dayText } from "./clock-text.ts";

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const STEPS_MS = [
  ...[1, 5, 15, 30].map((many) => many * SECOND_MS),
  ...[1, 2, 5, 10, 15, 30].map((many) => many * MINUTE_MS),
  ...[1, 2, 3, 6, 12].map((many) => many * HOUR_MS),
  ...[1, 2, 7, 14, 30, 90, 365].map((many) => many * DAY_MS),
];

export interface ClockTick {
  readonly atMs: number;
  readonly label: string;
}

/** Round moments of the clock from one to another, at least so far apart; in the time zone of whoever looks. */
export function clockTicks(fromMs: number, toMs: number, leastMs: number): ClockTick[] {
  const stepMs = stepOf(leastMs);
  const ticks: ClockTick[] = [];
  const first = Math.ceil((fromMs + zoneMs(fromMs)) / stepMs);
  const most = Math.max(0, Math.floor((toMs - fromMs) / stepMs) + 1);
  for (let index = 0; index <= most; index++) {
    const localMs = (first + index) * stepMs;
    // The zone may change its offset in between: each moment goes by its own.
    const atMs = localMs - zoneMs(localMs - zoneMs(fromMs));
    if (atMs >= fromMs && atMs <= toMs) ticks.push({ atMs, label: labelOf(atMs, localMs, stepMs) });
  }
  return ticks;
}

function stepOf(leastMs: number): number {
  return STEPS_MS.find((step) => step >= leastMs) ?? Math.ceil(leastMs / DAY_MS) * DAY_MS;
}

function zoneMs(atMs: number): number {
  return -new Date(atMs).getTimezoneOffset() * MINUTE_MS;
}

function labelOf(atMs: number, localMs: number, stepMs: number): string {
  if (localMs % DAY_MS === 0) return dayText(atMs);
  return clockText(atMs, stepMs < MINUTE_MS);
}

import { drawsOf } from "./draws.ts";
import type { Trace } from "./trace.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export interface Shape {
  readonly sessions: number;
  readonly days: number;
  /** How long a session lasts that began at a moment, ms. */
  readonly lengthMs: (startMs: number, draw: () => number) => number;
}

/** Sessions that begin at an even rate, with lengths of a shape. */
export function traceOf(shape: Shape, seed: number): Trace {
  const draw = drawsOf(seed);
  const startMs = Float64Array.from({ length: shape.sessions }, () => Math.floor(draw() * shape.days * DAY_MS)).sort();
  const durationMs = startMs.map((start) => Math.max(1000, Math.round(shape.lengthMs(start, draw))));
  return { startMs, durationMs };
}

/** A draw of the standard normal law (Box and Muller). */
function normal(draw: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
}

const exponential = (meanMs: number, draw: () => number) => -meanMs * Math.log(1 - draw());
const lognormal = (medianMs: number, spread: number, draw: () => number) => medianMs * Math.exp(spread * normal(draw));

const common = { sessions: 14_000, days: 10 };

/** Very different ways for sessions to last, none of them a real trace. */
export const SHAPES = {
  exponential: { ...common, lengthMs: (_, draw) => exponential(0.5 * HOUR_MS, draw) },
  lognormal: { ...common, lengthMs: (_, draw) => lognormal(0.25 * HOUR_MS, 1.2, draw) },
  /** A mean, but no variance; the longest of ten thousand lasts weeks. */
  pareto: { ...common, lengthMs: (_, draw) => 300_000 * (1 - draw()) ** (-1 / 1.2) },
  /** Short support calls and long advisory ones. */
  bimodal: {
    ...common,
    lengthMs: (_, draw) => (draw() < 0.7 ? lognormal(0.1 * HOUR_MS, 0.5, draw) : lognormal(1.5 * HOUR_MS, 0.3, draw)),
  },
  /** People join a class at any time, and it ends on the hour for all of them; some stay for the next one. */
  bunched: {
    ...common,
    lengthMs: (start, draw) => HOUR_MS - (start % HOUR_MS) + (draw() < 0.3 ? HOUR_MS : 0) + 60_000 * normal(draw),
  },
  /** Sessions get ten times as long within the ten days. */
  drifting: {
    ...common,
    lengthMs: (start, draw) => exponential(0.15 * HOUR_MS * (1 + (9 * start) / (10 * DAY_MS)), draw),
  },
} satisfies Record<string, Shape>;

/**
 * How many live sessions, open and lingering, the releases of one service held at some moments, in columns: two days of
 * them are millions of numbers. A release that is not listed held none.
 */
export interface SessionSamples {
  /** Epoch ms, in the order in which they were taken. */
  readonly atMs: Float64Array;
  /** By release, one number for each moment; {@link NOT_KNOWN} where nobody could count. */
  readonly live: ReadonlyMap<string, Int32Array>;
}

export const NOT_KNOWN = -1;

/** What the releases of a service held at one moment; null: nobody could count, which is not zero. */
export interface SessionCounts {
  readonly atMs: number;
  readonly live: ReadonlyMap<string, number | null>;
}

export function samplesOf(counts: readonly SessionCounts[]): SessionSamples {
  const live = new Map<string, Int32Array>();
  for (const [at, one] of counts.entries()) {
    for (const [release, sessions] of one.live) {
      const column = live.get(release) ?? new Int32Array(counts.length);
      live.set(release, column);
      column[at] = sessions ?? NOT_KNOWN;
    }
  }
  return { atMs: Float64Array.from(counts, ({ atMs }) => atMs), live };
}

/** Moments at the same distance from one to the next. */
export interface Moments {
  /** The first, epoch ms. */
  readonly fromMs: number;
  /** Above 0. */
  readonly stepMs: number;
  /** At least 1. */
  readonly count: number;
}

/**
 * What each release held at each moment: the last that was known after the moment before, or not longer than `lastsMs` ago.
 * Null where nothing is: there was nobody who counted. The numbers of one moment add up, as those of a peak would not.
 *
 * @param runs where two tell of the same time, the later one counts
 * @returns every release that is listed, in the order in which they first are
 */
export function lanesAt(
  runs: readonly SessionSamples[],
  moments: Moments,
  lastsMs: number,
): Map<string, (number | null)[]> {
  const { fromMs, stepMs, count } = moments;
  const sampledMs = new Float64Array(count).fill(-Infinity);
  const lanes = new Map<string, Float64Array>();
  for (const { atMs, live } of runs) {
    const steps = Array.from(atMs, (at) => {
      const step = Math.max(0, Math.ceil((at - fromMs) / stepMs));
      const isSeen = step < count && at > fromMs - Math.max(stepMs, lastsMs);
      return isSeen ? step : count;
    });
    for (const release of live.keys()) {
      // Where others were counted before it was listed, it held none.
      if (!lanes.has(release))
        lanes.set(
          release,
          sampledMs.map((at) => (at === -Infinity ? Number.NaN : 0)),
        );
    }
    for (const [release, lane] of lanes) fill(lane, steps, live.get(release));
    for (const [index, step] of steps.entries()) if (step < count) sampledMs[step] = atMs[index] ?? 0;
  }
  for (const lane of lanes.values()) carryOn(lane, sampledMs, moments, lastsMs);
  return new Map(
    Array.from(lanes, ([release, lane]) => [
      release,
      Array.from(lane, (sessions) => (sessions >= 0 ? sessions : null)),
    ]),
  );
}

/** @param column left out: it held none */
function fill(lane: Float64Array, steps: readonly number[], column: Int32Array | undefined): void {
  for (let index = 0; index < steps.length; index++) {
    const sessions = column?.[index] ?? 0;
    const step = steps[index] ?? lane.length;
    if (sessions !== NOT_KNOWN && step < lane.length) lane[step] = sessions;
  }
}

/** Steps may be shorter than the time between two samples. */
function carryOn(lane: Float64Array, sampledMs: Float64Array, { fromMs, stepMs }: Moments, lastsMs: number): void {
  let last = -1;
  for (let step = 0; step < lane.length; step++) {
    if (sampledMs[step] !== -Infinity) last = step;
    else if (last >= 0 && fromMs + step * stepMs - (sampledMs[last] ?? 0) <= lastsMs) lane[step] = lane[last] ?? NaN;
  }
}

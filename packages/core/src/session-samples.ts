/**
 * How many live sessions, open and lingering, the releases of one service held at some moments: in one column, since two days
 * of them are millions of numbers. A release that is not listed held none.
 */
export interface SessionSamples {
  /** Epoch ms, in the order in which they were taken. */
  readonly atMs: Float64Array;
  readonly releases: readonly string[];
  /** Of each release in turn one number for each moment; {@link NOT_KNOWN} where nobody could count. */
  readonly live: Int32Array;
}

export const NOT_KNOWN = -1;

/** What the releases of a service held at one moment; null: nobody could count, which is not zero. */
export interface SessionCounts {
  readonly atMs: number;
  readonly live: ReadonlyMap<string, number | null>;
}

export function samplesOf(counts: readonly SessionCounts[]): SessionSamples {
  const releases = [...new Set(counts.flatMap(({ live }) => [...live.keys()]))];
  const live = releases.flatMap((release) =>
    counts.map((one) => (one.live.has(release) ? (one.live.get(release) ?? NOT_KNOWN) : 0)),
  );
  return { atMs: Float64Array.from(counts, ({ atMs }) => atMs), releases, live: Int32Array.from(live) };
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
  /** The row of each lane in a run; most runs are of the same releases as the one before. */
  let rows: readonly number[] = [];
  let releases: readonly string[] = [];
  for (const run of runs) {
    const steps = stepsOf(run.atMs, moments, lastsMs);
    if (run.releases !== releases) {
      for (const release of run.releases) if (!lanes.has(release)) lanes.set(release, emptyLane(sampledMs));
      rows = Array.from(lanes.keys(), (release) => run.releases.indexOf(release));
      releases = run.releases;
    }
    let at = 0;
    for (const lane of lanes.values()) fill(lane, steps, run.live, rows[at++] ?? -1);
    for (const [index, step] of steps.entries()) if (step < count) sampledMs[step] = run.atMs[index] ?? 0;
  }
  const told = new Map<string, (number | null)[]>();
  for (const [release, lane] of lanes) {
    carryOn(lane, sampledMs, fromMs, stepMs, lastsMs);
    told.set(
      release,
      Array.from(lane, (sessions) => (sessions >= 0 ? sessions : null)),
    );
  }
  return told;
}

/** What is taken at a moment belongs to it, whatever arithmetic has made of that moment: epoch ms are exact to 0.0003. */
const ROUNDING_MS = 0.01;

/** The moment that each sample belongs to; past the last where it belongs to none. */
function stepsOf(atMs: Float64Array, { fromMs, stepMs, count }: Moments, lastsMs: number): Uint32Array {
  const sinceMs = fromMs - Math.max(stepMs, lastsMs);
  return Uint32Array.from(atMs, (at) => {
    const step = Math.max(0, Math.ceil((at - fromMs - ROUNDING_MS) / stepMs));
    return at > sinceMs && step < count ? step : count;
  });
}

/** Of a release that is listed for the first time: where others were counted before, it held none. */
function emptyLane(sampledMs: Float64Array): Float64Array {
  return sampledMs.map((at) => (at === -Infinity ? Number.NaN : 0));
}

/** @param row of the release in the run; below 0: it is not listed */
function fill(lane: Float64Array, steps: Uint32Array, live: Int32Array, row: number): void {
  const many = steps.length;
  for (let index = 0; index < many; index++) {
    const sessions = row < 0 ? 0 : (live[row * many + index] ?? NOT_KNOWN);
    const step = steps[index] ?? lane.length;
    if (sessions !== NOT_KNOWN && step < lane.length) lane[step] = sessions;
  }
}

/** Moments may be closer than samples. */
function carryOn(lane: Float64Array, sampledMs: Float64Array, fromMs: number, stepMs: number, lastsMs: number): void {
  let last = -1;
  for (let step = 0; step < lane.length; step++) {
    if (sampledMs[step] !== -Infinity) last = step;
    else if (last >= 0 && fromMs + step * stepMs - (sampledMs[last] ?? 0) <= lastsMs) lane[step] = lane[last] ?? NaN;
  }
}

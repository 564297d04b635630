import type { SessionSpans } from "./session-lengths.ts";
import { allowedCuts } from "./windows.ts";

const HOUR_MS = 3_600_000;
const DAY_HOURS = 24;
/** What was longer ago says little of the coming day. */
const LOOKBACK_MS = 28 * DAY_HOURS * HOUR_MS;

/** What a service did, from which it is told when a release that is replaced would have retired. */
export interface HindcastQuestion {
  readonly nowMs: number;
  /** The sessions of the whole service, those that are open now among them. */
  readonly spans: SessionSpans;
  /** From when on no end is missing in them, epoch ms. Of longer than four weeks ago nothing is used. */
  readonly sinceMs: number;
  /** The share of the sessions live at the cutover that may be cut, 0 to 1. */
  readonly disruptionBudget: number;
  /** How long a session keeps its place after its last connection ended, ms. */
  readonly lingerMs: number;
  /** The longest that a release is retained, ms; infinite where nothing ends it. */
  readonly ceilingMs: number;
}

/** An hour of the coming day, and how a cutover in it did on the days before. */
export interface HourHindcast {
  /** Epoch time, a full hour in UTC. */
  readonly startsAtMs: number;
  /** How long the replaced release would have lived on average, ms; null where no day tells. */
  readonly retiredAfterMs: number | null;
  /** The days that the average rests on. */
  readonly days: number;
}

/**
 * The current hour and the 23 after it: had the release been replaced at half past this hour on one of the days before, how
 * long until at most the disruption budget of the sessions live then was left? Averaged over the days, by hour of day in
 * UTC. O(n log n) in the sessions.
 *
 * An outcome is still open while too many of the sessions live then are. The hours count up to the first such one: of those
 * after it only the short ones would be known, and the average too low.
 *
 * It does not know: days of the week and holidays, what changes with the release that is deployed, and which of the sessions
 * were on which release (all that were live then count, on a release that was retained already too). It leaves out the
 * floor of the window.
 */
export function hindcast(question: HindcastQuestion): HourHindcast[] {
  const totals = new Float64Array(DAY_HOURS);
  const days = new Uint32Array(DAY_HOURS);
  for (const { hour, retiredAfterMs } of outcomes(question)) {
    totals[hourOfDay(hour)] = (totals[hourOfDay(hour)] ?? 0) + retiredAfterMs;
    days[hourOfDay(hour)] = (days[hourOfDay(hour)] ?? 0) + 1;
  }
  const first = Math.floor(question.nowMs / HOUR_MS);
  return Array.from({ length: DAY_HOURS }, (_, index) => {
    const many = days[hourOfDay(first + index)] ?? 0;
    const total = totals[hourOfDay(first + index)] ?? 0;
    return { startsAtMs: (first + index) * HOUR_MS, retiredAfterMs: many === 0 ? null : total / many, days: many };
  });
}

function hourOfDay(hour: number): number {
  return ((hour % DAY_HOURS) + DAY_HOURS) % DAY_HOURS;
}

/** When a release replaced at half past each hour would have retired, oldest hour first, up to the first that is open. */
function* outcomes(question: HindcastQuestion): Generator<{ readonly hour: number; readonly retiredAfterMs: number }> {
  const { nowMs, disruptionBudget, ceilingMs } = question;
  const { openedMs, letsGoMs } = holding(question);
  const live = new LiveByEnd(openedMs, letsGoMs);
  const sinceMs = Math.max(question.sinceMs, nowMs - LOOKBACK_MS);
  for (let hour = Math.ceil(sinceMs / HOUR_MS - 0.5); (hour + 0.5) * HOUR_MS <= nowMs; hour++) {
    const atMs = (hour + 0.5) * HOUR_MS;
    live.moveTo(atMs);
    const allowed = allowedCuts(disruptionBudget, live.size);
    const afterMs = live.size <= allowed ? 0 : live.endOf(live.size - allowed) - atMs;
    if (afterMs === Infinity && nowMs - atMs < ceilingMs) return;
    yield { hour, retiredAfterMs: Math.min(afterMs, ceilingMs) };
  }
}

/** From when until when each session held its release, infinite where it is open. A row without sense is left out. */
function holding({ spans, nowMs, lingerMs }: HindcastQuestion) {
  const rows = spans.openedAtMs.length;
  const openedMs = new Float64Array(rows);
  const letsGoMs = new Float64Array(rows);
  let kept = 0;
  for (let row = 0; row < rows; row++) {
    const opened = spans.openedAtMs[row] ?? Number.NaN;
    const ended = spans.endedAtMs[row] ?? Number.NaN;
    if (!(opened <= nowMs) || ended <= opened) continue;
    openedMs[kept] = opened;
    letsGoMs[kept] = ended <= nowMs ? ended + lingerMs : Infinity;
    kept++;
  }
  return { openedMs: openedMs.subarray(0, kept), letsGoMs: letsGoMs.subarray(0, kept) };
}

/** The sessions that are live at a moment that moves on, by when they end: a Fenwick tree over the ends in order. */
class LiveByEnd {
  size = 0;
  readonly #openings: Float64Array;
  /** The place among the ends of each session, in order of opening. */
  readonly #places: Uint32Array;
  readonly #ends: Float64Array;
  readonly #tree: Int32Array;
  readonly #highest: number;
  #opened = 0;
  #ended = 0;

  constructor(openedMs: Float64Array, endsMs: Float64Array) {
    const byOpening = inOrderOf(openedMs);
    const byEnd = inOrderOf(endsMs);
    const placeOf = new Uint32Array(byEnd.length);
    for (const [place, row] of byEnd.entries()) placeOf[row] = place;
    this.#openings = Float64Array.from(byOpening, (row) => openedMs[row] ?? 0);
    this.#places = byOpening.map((row) => placeOf[row] ?? 0);
    this.#ends = Float64Array.from(byEnd, (row) => endsMs[row] ?? 0);
    this.#tree = new Int32Array(byEnd.length + 1);
    this.#highest = 2 ** Math.floor(Math.log2(Math.max(1, byEnd.length)));
  }

  moveTo(atMs: number): void {
    // A session that begins at the very moment of a cutover begins on the new release.
    for (; (this.#openings[this.#opened] ?? Infinity) < atMs; this.#opened++)
      this.#add(this.#places[this.#opened] ?? 0, 1);
    // What has ended had begun before, so it is in the tree.
    for (; (this.#ends[this.#ended] ?? Infinity) <= atMs; this.#ended++) this.#add(this.#ended, -1);
  }

  /** When the n-th of the live ones to end does, from 1. */
  endOf(nth: number): number {
    let place = 0;
    let before = 0;
    for (let step = this.#highest; step >= 1; step /= 2) {
      const next = this.#tree[place + step];
      if (next === undefined || before + next >= nth) continue;
      place += step;
      before += next;
    }
    return this.#ends[place] ?? Infinity;
  }

  #add(place: number, by: number): void {
    this.size += by;
    for (let node = place + 1; node < this.#tree.length; node += node & -node) {
      this.#tree[node] = (this.#tree[node] ?? 0) + by;
    }
  }
}

/** The rows of a column, ascending by its values. */
function inOrderOf(column: Float64Array): Uint32Array {
  return Uint32Array.from(column.keys()).sort((a, b) => {
    const [left = 0, right = 0] = [column[a], column[b]];
    return left < right ? -1 : left > right ? 1 : 0;
  });
}

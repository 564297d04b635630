/**
 * What a call went through, from what its browsers counted. A deploy has harmed a call when one of its sides was shown
 * less than the sides of a control call, which saw no deploy, at the same time on the same machine.
 */

/** What a browser says at one moment of one picture and one voice that come in. */
export interface MediaSample {
  /** The page's clock, ms. */
  readonly atMs: number;
  readonly framesDecoded: number;
  readonly freezes: number;
  readonly frozenMs: number;
  readonly audioPackets: number;
}

/** One side of a call, as its page saw it. */
export interface WatchedSide {
  readonly name: string;
  /** In their order, all of one connection. */
  readonly samples: readonly MediaSample[];
  /** When the last of them would have been due: what is missing at the end is a gap too. */
  readonly untilMs: number;
  /** Peer connections that the page has ever made. */
  readonly connections: number;
  /** Changes of the signalling state, and wishes to change it, after the call was set up. */
  readonly negotiations: number;
}

export interface SideMeasures {
  readonly name: string;
  readonly lengthMs: number;
  readonly frames: number;
  /** The longest time in which no frame was decoded, ms. */
  readonly longestGapMs: number;
  /** The longest time in which nothing was heard, ms. */
  readonly longestSilenceMs: number;
  readonly freezes: number;
  readonly frozenMs: number;
}

/** The call may stand still for so much longer than the control, ms: two samples, since each end may be seen that late. */
const ALLOWED_MS = 200;
/** A machine that stands still stops one page a little before or after the other, ms. */
const SAME_TIME_MS = 1000;

/** A time in which nothing came. */
interface Pause {
  readonly fromMs: number;
  readonly toMs: number;
  readonly lengthMs: number;
}

export function measure(side: WatchedSide): SideMeasures {
  const { name, samples, untilMs } = side;
  const [first] = samples;
  const last = samples.at(-1);
  if (!first || !last) throw new Error(`${name} has no samples`);
  return {
    name,
    lengthMs: Math.round(untilMs - first.atMs),
    frames: last.framesDecoded - first.framesDecoded,
    longestGapMs: longest(gapsIn(side, framesDecoded)),
    longestSilenceMs: longest(gapsIn(side, audioPackets)),
    freezes: last.freezes - first.freezes,
    frozenMs: last.frozenMs - first.frozenMs,
  };
}

/**
 * What a deploy has done to a call, in words; nothing where it went on as the control did.
 * @param allowedMs how much longer than the control it may stand still
 */
export function harm(
  call: readonly WatchedSide[],
  control: readonly WatchedSide[],
  allowedMs: number = ALLOWED_MS,
): string[] {
  const measured = control.map(measure);
  const gapMs = Math.max(...measured.map(({ longestGapMs }) => longestGapMs)) + allowedMs;
  const silenceMs = Math.max(...measured.map(({ longestSilenceMs }) => longestSilenceMs)) + allowedMs;
  const stood = control.flatMap((side) => gapsIn(side, framesDecoded));
  return call.flatMap((side) => {
    const found = measure(side);
    const { name } = side;
    const alone = freezesIn(side).filter((freeze) => !stood.some((gap) => explains(gap, freeze)));
    return [
      found.frames <= 0 && `${name}: no frame was decoded`,
      found.longestGapMs > gapMs && `${name}: no frame for ${found.longestGapMs} ms, more than ${gapMs} ms`,
      found.longestSilenceMs > silenceMs &&
        `${name}: no sound for ${found.longestSilenceMs} ms, more than ${silenceMs} ms`,
      alone.length > 0 && `${name}: frozen ${alone.length} times when the control was not`,
      side.connections !== 1 && `${name}: ${side.connections} peer connections`,
      side.negotiations > 0 && `${name}: negotiated again, ${side.negotiations} times`,
    ].filter((complaint) => complaint !== false);
  });
}

const framesDecoded = (sample: MediaSample): number => sample.framesDecoded;
const audioPackets = (sample: MediaSample): number => sample.audioPackets;

/** The times from one growth of a count to the next, and from the last one to the end. */
function gapsIn({ samples, untilMs }: WatchedSide, count: (sample: MediaSample) => number): Pause[] {
  const gaps: Pause[] = [];
  let [grown] = samples;
  for (const sample of samples) {
    if (!grown || count(sample) <= count(grown)) continue;
    gaps.push(pause(grown.atMs, sample.atMs));
    grown = sample;
  }
  return grown ? [...gaps, pause(grown.atMs, untilMs)] : gaps;
}

/** What the browser itself calls a freeze: it is counted when it is over. */
function freezesIn({ samples }: WatchedSide): Pause[] {
  return samples.flatMap((sample, index) => {
    const before = samples[index - 1];
    if (!before || sample.freezes <= before.freezes) return [];
    const lengthMs = sample.frozenMs - before.frozenMs;
    return [{ fromMs: before.atMs - lengthMs, toMs: sample.atMs, lengthMs }];
  });
}

/** The control stood still at the time of a freeze, and for nearly as long. */
function explains(gap: Pause, freeze: Pause): boolean {
  return (
    gap.fromMs <= freeze.toMs + SAME_TIME_MS &&
    freeze.fromMs <= gap.toMs + SAME_TIME_MS &&
    gap.lengthMs + ALLOWED_MS >= freeze.lengthMs
  );
}

function pause(fromMs: number, toMs: number): Pause {
  return { fromMs, toMs, lengthMs: toMs - fromMs };
}

function longest(pauses: readonly Pause[]): number {
  return Math.round(Math.max(0, ...pauses.map(({ lengthMs }) => lengthMs)));
}

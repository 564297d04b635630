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

/** A gap of the call may be so much longer than the control's longest, ms: two samples, since each end may be seen that late. */
const ALLOWED_MS = 200;
/** A machine that stands still freezes one page a little before or after the other, ms. */
const SAME_TIME_MS = 1000;

interface Freeze {
  readonly fromMs: number;
  readonly toMs: number;
}

export function measure({ name, samples, untilMs }: WatchedSide): SideMeasures {
  const [first] = samples;
  const last = samples.at(-1);
  if (!first || !last) throw new Error(`${name} has no samples`);
  return {
    name,
    lengthMs: Math.round(untilMs - first.atMs),
    frames: last.framesDecoded - first.framesDecoded,
    longestGapMs: longestGap(samples, untilMs, ({ framesDecoded }) => framesDecoded),
    longestSilenceMs: longestGap(samples, untilMs, ({ audioPackets }) => audioPackets),
    freezes: last.freezes - first.freezes,
    frozenMs: last.frozenMs - first.frozenMs,
  };
}

/** What a deploy has done to a call, in words; nothing where it went on as the control did. */
export function harm(call: readonly WatchedSide[], control: readonly WatchedSide[]): string[] {
  const measured = control.map(measure);
  const gapMs = Math.max(...measured.map(({ longestGapMs }) => longestGapMs)) + ALLOWED_MS;
  const silenceMs = Math.max(...measured.map(({ longestSilenceMs }) => longestSilenceMs)) + ALLOWED_MS;
  const frozen = control.flatMap(({ samples }) => freezesIn(samples));
  const most = Math.max(...measured.map(({ freezes }) => freezes));
  return call.flatMap((side) => {
    const found = measure(side);
    const { name } = side;
    const alone = freezesIn(side.samples).filter((freeze) => !frozen.some((other) => atOneTime(freeze, other)));
    return [
      found.frames <= 0 && `${name}: no frame was decoded`,
      found.longestGapMs > gapMs && `${name}: no frame for ${found.longestGapMs} ms, more than ${gapMs} ms`,
      found.longestSilenceMs > silenceMs &&
        `${name}: no sound for ${found.longestSilenceMs} ms, more than ${silenceMs} ms`,
      found.freezes > most &&
        alone.length > 0 &&
        `${name}: frozen ${found.freezes} times, ${alone.length} of them when the control was not; that one ${most} times`,
      side.connections !== 1 && `${name}: ${side.connections} peer connections`,
      side.negotiations > 0 && `${name}: negotiated again, ${side.negotiations} times`,
    ].filter((complaint) => complaint !== false);
  });
}

/** A freeze is counted when it is over. */
function freezesIn(samples: readonly MediaSample[]): Freeze[] {
  return samples.flatMap((sample, index) => {
    const before = samples[index - 1];
    if (!before || sample.freezes <= before.freezes) return [];
    return [{ fromMs: before.atMs - (sample.frozenMs - before.frozenMs), toMs: sample.atMs }];
  });
}

function atOneTime(one: Freeze, other: Freeze): boolean {
  return one.fromMs <= other.toMs + SAME_TIME_MS && other.fromMs <= one.toMs + SAME_TIME_MS;
}

/** The longest time from one growth of a count to the next, or to the end. */
function longestGap(samples: readonly MediaSample[], untilMs: number, count: (sample: MediaSample) => number): number {
  let longest = 0;
  let [grown] = samples;
  for (const sample of samples) {
    if (!grown || count(sample) <= count(grown)) continue;
    longest = Math.max(longest, sample.atMs - grown.atMs);
    grown = sample;
  }
  return Math.round(Math.max(longest, grown ? untilMs - grown.atMs : 0));
}

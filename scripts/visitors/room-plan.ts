/**
 * Half of the rooms are shorter than this, ms. With the spread below one in twenty lasts more than two and a half minutes, so
 * that of a dozen live rooms the last one keeps an old release for some minutes.
 */
const MEDIAN_MS = 30_000;
/** Of the log-normal length: the natural logarithm of a length is off by so much, typically. */
const SPREAD = 1;
const SHORTEST_MS = 5000;
export const LONGEST_MS = 480_000;
export const MOST_VISITORS = 3;
/** So many stays are broken by somebody who reloads the page, and is away for so long, ms. */
const RELOADS = 0.2;
const AWAY_MS = 1500;

/** From when to when somebody is in the room, ms after it was opened. */
export interface Stay {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** What happens in a room, drawn when it is opened: how long it lasts, and the stays of each of its visitors, in order. */
export interface RoomPlan {
  readonly lengthMs: number;
  readonly visitors: readonly (readonly Stay[])[];
}

/** @param random from 0 up to 1 */
export function planRoom(random: () => number): RoomPlan {
  const lengthMs = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, MEDIAN_MS * Math.exp(SPREAD * normal(random))));
  const visitors = Array.from({ length: 1 + Math.floor(random() * MOST_VISITORS) }, (_, index) => {
    // The first is there from the beginning to the end; the others come later and go earlier.
    const stay =
      index === 0
        ? { fromMs: 0, untilMs: lengthMs }
        : { fromMs: lengthMs * 0.3 * random(), untilMs: lengthMs * (1 - 0.3 * random()) };
    return random() < 1 - RELOADS ? [stay] : broken(stay, random());
  });
  return { lengthMs, visitors };
}

function broken({ fromMs, untilMs }: Stay, where: number): Stay[] {
  const leavesMs = fromMs + (untilMs - fromMs - AWAY_MS) * where;
  return [
    { fromMs, untilMs: leavesMs },
    { fromMs: leavesMs + AWAY_MS, untilMs },
  ];
}

/** A draw from the standard normal distribution (Box and Muller 1958). */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

import type { Clock } from "@holdover/core";

/** setTimeout takes no longer span, ms: a longer one would run at once. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * The clock of this machine. It goes on evenly from where it stood when the process began: setting the machine's clock
 * neither ends a linger early nor lets the disconnect cap be passed.
 */
export const systemClock: Clock = {
  now: () => Math.round(performance.timeOrigin + performance.now()),
  after: (ms, run) => {
    let timer: NodeJS.Timeout;
    const wait = (left: number): void => {
      timer = left > LONGEST_MS ? setTimeout(wait, LONGEST_MS, left - LONGEST_MS) : setTimeout(run, left);
      timer.unref();
    };
    wait(ms);
    return () => clearTimeout(timer);
  },
};

import type { Clock } from "@holdover/core";

/** setTimeout takes no longer span, ms: a longer one would run at once. */
const LONGEST_MS = 2 ** 31 - 1;

/** The clock of this machine. It goes on evenly from where it stood when the process began, whoever sets the machine's. */
export const nodeClock: Clock = {
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

/**
 * Keeps the process alive and hands its SIGTERM and SIGINT over, until it is let go: sessions may hold nothing that Node
 * would wait for, and the link that jobs come by may be broken for a while.
 */
export function holdProcess(onSignal: (signal: string) => void): () => void {
  const hold = setInterval(() => {}, LONGEST_MS);
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  return () => {
    clearInterval(hold);
    process.off("SIGTERM", onSignal);
    process.off("SIGINT", onSignal);
  };
}

import type { Released, WorkerCall } from "@holdover/core";

/** How often a draining worker asks whether its last session has gone, ms. */
const FREE_EVERY_MS = 250;

/** The drain of one worker. */
export interface Drain {
  readonly isDraining: boolean;
  /** Sessions that were here when it was last asked. */
  readonly left: number;
  /** Resolves once nothing is placed here any more; rejects with what the host says, and drains all the same. */
  readonly begin: () => Promise<void>;
  readonly cancel: () => Promise<void>;
  /** Asks once how many sessions are here. */
  look(): Promise<void>;
  /** Resolves when the last session has gone. */
  readonly drained: Promise<void>;
  /** Asks no more. */
  stop(): void;
}

/** Takes no new session, and asks until the last one has gone. */
export function createDrain(call: (call: WorkerCall) => Promise<unknown>): Drain {
  const drained = Promise.withResolvers<void>();
  /** The drain that is on, by the call that began it; null: none. */
  let begun: Promise<void> | null = null;
  let timer: NodeJS.Timeout | undefined;
  let left = 0;

  const released = async (): Promise<boolean> => {
    const answer = (await call({ name: "release" })) as Released;
    left = answer.released ? 0 : answer.sessions;
    return answer.released;
  };

  const ask = async (on: Promise<void>): Promise<void> => {
    // Where the host is away it is asked again.
    const free = await released().catch(() => false);
    // Called off while it was asked: sessions are placed here again.
    if (begun !== on) return;
    if (free) return drained.resolve();
    timer = setTimeout(() => void ask(on), FREE_EVERY_MS);
  };

  const say = async (draining: boolean): Promise<void> => {
    await call({ name: "draining", draining });
  };

  const stop = (): void => {
    begun = null;
    clearTimeout(timer);
  };

  return {
    get isDraining() {
      return begun !== null;
    },
    get left() {
      return left;
    },
    begin: () => {
      if (begun) return begun;
      const on = say(true);
      begun = on;
      // Also where it could not be said: the next hello says it.
      const asked = (): unknown => begun === on && ask(on);
      on.then(asked, asked);
      return on;
    },
    cancel: async () => {
      if (!begun) return;
      stop();
      await say(false);
    },
    look: async () => {
      await released();
    },
    drained: drained.promise,
    stop,
  };
}

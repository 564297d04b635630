import { setTimeout as delay } from "node:timers/promises";
import type { Readable } from "node:stream";

/** Where text goes. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

/** All of the world that a command touches besides files and the control socket. */
export interface Terminal {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: Readable & { readonly isTTY?: boolean | undefined };
  readonly stdout: Output;
  readonly stderr: Output;
  /** Epoch time in ms. */
  now(): number;
  /** Resolves after `ms`, or at once when the signal is given. */
  pause(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls back on Ctrl-C, and on the other ways to be asked to end; a second time it ends the process. */
  onInterrupt(listener: () => void): () => void;
}

/** The terminal of this process. */
export function processTerminal(): Terminal {
  return {
    cwd: process.cwd(),
    env: process.env,
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    now: Date.now,
    async pause(ms, signal) {
      await delay(ms, undefined, signal ? { signal } : {}).catch((error: unknown) => {
        if (!signal?.aborted) throw error;
      });
    },
    onInterrupt(listener) {
      const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
      for (const signal of signals) process.once(signal, listener);
      return () => {
        for (const signal of signals) process.off(signal, listener);
      };
    },
  };
}

/** Runs something that Ctrl-C is to end in an orderly way: the signal tells it. */
export async function interruptible<Result>(
  terminal: Terminal,
  run: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const controller = new AbortController();
  const stop = terminal.onInterrupt(() => controller.abort());
  try {
    return await run(controller.signal);
  } finally {
    stop();
  }
}

import { ApiFailure, asFailure, unreachable } from "./api-call.ts";
import { createEventParser, type StreamEvent } from "./event-parser.ts";

/** The waits after failures in a row, ms: 0.5 s, doubled up to 15 s. */
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

export interface FollowOptions {
  /** Opens the stream. @param lastId the id of the last event that was seen */
  readonly open: (lastId: string | null, signal: AbortSignal) => Promise<Response>;
  readonly onEvent: (event: StreamEvent) => void;
  /** The stream is open. */
  readonly onOpen: () => void;
  /** It broke, and is tried again in so many ms; null: the token is not valid, and nothing more is tried. */
  readonly onBroken: (failure: ApiFailure, againInMs: number | null) => void;
  /** The ids are of another log: what was gone on from is not there. */
  readonly onLost: () => void;
  /** Runs once after so many ms; returns how to call it off. */
  readonly after: (ms: number, run: () => void) => () => void;
  /** From 0 up to 1. */
  readonly random: () => number;
  /** How long a stream that is open may say nothing before it is taken for dead, ms. */
  readonly silentMs: number;
}

export interface Following {
  /** Tries at once where it waits; a stream that is open stays. */
  again(): void;
  stop(): void;
}

/** Follows a stream of events for as long as it is wanted: resumes after each break where it broke. */
export function follow(options: FollowOptions, startAfter: string | null): Following {
  let lastId = startAfter;
  let failures = 0;
  const state = { stopped: false };
  let cancelWait: (() => void) | undefined;
  let wake = (): void => {};
  let current: AbortController | undefined;

  async function once(): Promise<ApiFailure> {
    const controller = new AbortController();
    current = controller;
    let cancelWatch = (): void => {};
    const watch = (): void => {
      cancelWatch();
      cancelWatch = options.after(options.silentMs, () => controller.abort());
    };
    try {
      watch();
      const response = await options.open(lastId, controller.signal);
      if (!response.body) return unreachable();
      options.onOpen();
      const parse = createEventParser((event) => {
        // Only a stream that brings something has ended the failures: one that opens and breaks at once has not.
        failures = 0;
        if (event.id !== null) lastId = event.id;
        options.onEvent(event);
      });
      const decoder = new TextDecoder();
      const reader = response.body.getReader();
      for (;;) {
        // How a connection ended is of no matter: by an error, or between two events.
        const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined }));
        if (done) return unreachable();
        watch();
        parse(decoder.decode(value, { stream: true }));
      }
    } catch (error) {
      return controller.signal.aborted ? unreachable() : asFailure(error);
    } finally {
      cancelWatch();
      controller.abort();
    }
  }

  async function run(): Promise<void> {
    while (!state.stopped) {
      const failure = await once();
      if (state.stopped) return;
      if (failure.status === 401) {
        options.onBroken(failure, null);
        return;
      }
      if (failure.status === 400 && lastId !== null) {
        lastId = null;
        options.onLost();
      }
      const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures);
      failures += 1;
      // Spread over the half: pages that lost the same control must not come back all at once.
      const waitMs = Math.round(longest * (0.5 + options.random() / 2));
      options.onBroken(failure, waitMs);
      await new Promise<void>((resolve) => {
        wake = resolve;
        cancelWait = options.after(waitMs, resolve);
      });
      cancelWait = undefined;
    }
  }

  void run();
  return {
    again() {
      if (!cancelWait) return;
      cancelWait();
      failures = 0;
      wake();
    },
    stop() {
      state.stopped = true;
      cancelWait?.();
      current?.abort();
      wake();
    },
  };
}

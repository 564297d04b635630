import { formatDuration, type Clock, type InstanceSpec } from "@holdover/core";
import { checkHealth, isHealthy, isSilent, pause, type Answer } from "./health-check.ts";
import { describeListening, ownerOf, waitingOn } from "./listeners.ts";

/** How often an instance that starts is looked at. */
const START_EVERY_MS = 100;
/** This many checks without a sign of life in a row, and it hangs. */
const SILENT_CHECKS = 3;
/** How often the queue of connections is looked at while a check waits for one to be taken. */
const QUEUE_EVERY_MS = 50;

/** What is watched; `pid` leads its group. */
export interface Watched {
  readonly port: number;
  readonly pid: number;
  readonly health: InstanceSpec["health"];
  /** Its worker, where that one's word is its health. */
  readonly worker?: WorkerHealth;
}

/** What the worker of an instance says, for a service that listens on no port. */
export interface WorkerHealth {
  /** `away`: it has not joined, or its link is broken; `joined`: it says that it is not ready. */
  state(): "away" | "joined" | "ready";
  /** Whether its program answers within so many ms. Never rejects. */
  answers(withinMs: number): Promise<boolean>;
}

export type StartVerdict = { readonly healthy: true } | { readonly healthy: false; readonly problem: string };

/** Looks at an instance until it is healthy or `forMs` are over; undefined when the signal ends the watch before. */
export async function watchStart(
  watched: Watched,
  forMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<StartVerdict | undefined> {
  const { port, pid, health } = watched;
  const expired = new AbortController();
  const cancel = clock.after(forMs, () => expired.abort());
  const either = AbortSignal.any([signal, expired.signal]);
  let told: Answer | undefined;
  let stranger: string | undefined;
  try {
    while (watched.worker && !either.aborted) {
      if (watched.worker.state() === "ready") return { healthy: true };
      await pause(START_EVERY_MS, clock, either);
    }
    while (!either.aborted) {
      const answer = await checkHealth({ port, path: health.path, timeoutMs: health.timeout }, clock, either);
      // The last check is cut off by the end of the time: what the ones before it found says more.
      if (either.aborted) break;
      told = answer;
      stranger = undefined;
      if (isHealthy(answer)) {
        const found = await ownerOf(port, pid);
        if (signal.aborted) return undefined;
        if (found.owner !== "stranger") return { healthy: true };
        stranger = found.problem;
      }
      await pause(START_EVERY_MS, clock, either);
    }
    if (signal.aborted) return undefined;
    const problem = stranger ?? (await explain(watched, told));
    return signal.aborted ? undefined : { healthy: false, problem };
  } finally {
    cancel();
  }
}

/** What a person needs to know to mend it. */
async function explain({ port, pid, health, worker }: Watched, answer: Answer | undefined): Promise<string> {
  if (worker) return worker.state() === "away" ? "its worker has not joined" : "its worker says that it is not ready";
  const asked = `GET ${health.path}`;
  switch (answer?.kind) {
    case "status":
      return `${asked} answered ${answer.status}`;
    case "garbled":
      return `what it answers to ${asked} on PORT ${port} is no HTTP/1.1`;
    case "reset":
      return `it closes connections on PORT ${port} without an answer`;
    case "unknown":
    case "connected":
    case "timeout":
    case "refused":
    case undefined:
      break;
  }
  const listening = await describeListening(port, pid).catch(() => null);
  if (answer?.kind === "timeout" && health.path !== undefined && listening?.startsWith("it listens on PORT")) {
    return `${asked} was not answered within ${formatDuration(health.timeout)}`;
  }
  if (listening !== null) return listening;
  return answer?.kind === "unknown" ? answer.problem : `nothing answers on PORT ${port}`;
}

/**
 * Checks a ready instance for signs of life, for as long as there are any. Resolves with the problem once it hangs, or
 * with undefined when the signal ends the watch. From one check to the next it is the interval, or as long as a check
 * takes where that is longer.
 *
 * @param onSilent told after each check without a sign of life, with how many there were in a row
 */
export async function watchLife(
  watched: Watched,
  clock: Clock,
  signal: AbortSignal,
  onSilent: (inARow: number) => void,
): Promise<string | undefined> {
  const { port, health } = watched;
  let silent = 0;
  let due = pause(health.interval, clock, signal);
  for (;;) {
    await due;
    if (signal.aborted) return undefined;
    due = pause(health.interval, clock, signal);
    const answer = await checkLife(watched, clock, signal);
    if (signal.aborted) return undefined;
    if (isSilent(answer)) onSilent((silent += 1));
    // Nothing follows from a check that we failed to make ourselves.
    else if (answer.kind !== "unknown") silent = 0;
    if (silent < SILENT_CHECKS) continue;
    const found = watched.worker
      ? `its worker gave no answer within ${formatDuration(health.timeout)}`
      : answer.kind === "refused"
        ? `PORT ${port} refuses connections`
        : `it gave no sign of life within ${formatDuration(health.timeout)}`;
    return `${found}, ${SILENT_CHECKS} checks in a row`;
  }
}

/**
 * With a path, any answer will do. Without one, a connection alone says nothing: the kernel makes it, for a program that
 * hangs as well. What tells is whether the program takes connections from the queue, so it counts as silent when the
 * queue is never empty nor gets any shorter for as long as a check may take.
 */
async function checkLife(watched: Watched, clock: Clock, signal: AbortSignal): Promise<Answer> {
  const { port, health, worker } = watched;
  if (worker) return { kind: (await worker.answers(health.timeout)) ? "connected" : "timeout" };
  const target = { port, path: health.path, timeoutMs: health.timeout };
  const answer = await checkHealth(target, clock, signal);
  if (answer.kind !== "connected") return answer;
  const over = new AbortController();
  const cancel = clock.after(health.timeout, () => over.abort());
  const either = AbortSignal.any([signal, over.signal]);
  try {
    let before = await waitingOn(port);
    while (before !== null && before > 0 && !either.aborted) {
      await pause(QUEUE_EVERY_MS, clock, either);
      const now = await waitingOn(port);
      if (now === null || now < before) return answer;
      before = now;
    }
    return before !== null && before > 0 ? { kind: "timeout" } : answer;
  } finally {
    cancel();
  }
}

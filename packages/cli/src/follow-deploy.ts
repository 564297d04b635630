import { formatDuration, HoldoverError } from "@holdover/core";
import type { ApiClient, ReleaseView } from "./api-client.ts";
import type { Cli } from "./cli.ts";
import { createProgress } from "./output/progress.ts";
import { patiently } from "./reconnect.ts";
import { interruptible } from "./terminal.ts";

const POLL_MS = 150;

/** A deploy that has been accepted. */
export interface Deploying {
  readonly service: string;
  readonly release: string;
  readonly hasGate: boolean;
  readonly timeoutMs: number;
}

/**
 * Follows a release until it is what its deploy wanted, and tells each step.
 * @throws HoldoverError RELEASE_FAILED with the release as its cause; RELEASE_TRANSITION where somebody retired it;
 * DEPLOY_TIMEOUT; NOT_RUNNING or CONTROL_BUSY where control stays away
 */
export async function followDeploy(
  cli: Cli,
  api: ApiClient,
  { service, release, hasGate, timeoutMs }: Deploying,
): Promise<ReleaseView | "interrupted"> {
  const progress = createProgress(cli.terminal, cli.json);
  const startedAt = performance.now();
  return interruptible(cli.terminal, async (signal) => {
    try {
      for (;;) {
        const view = await patiently(
          cli.terminal,
          async () => api.release(service, release),
          (line) => progress.note(line),
          signal,
        );
        if (!view || signal.aborted) break;
        const verdict = judge(view);
        if (verdict !== "going on") return verdict;
        progress.step(`${service} ${release}: ${stepOf(view, hasGate)}`);
        if (performance.now() - startedAt > timeoutMs) {
          const timeout = formatDuration(timeoutMs);
          throw new HoldoverError("DEPLOY_TIMEOUT", { service, release, state: view.state, timeout });
        }
        await cli.terminal.pause(POLL_MS, signal);
      }
    } finally {
      progress.done();
    }
    cli.note(`The deploy of ${release} goes on. Stop it with \`holdover retire ${service} ${release}\`.`);
    return "interrupted";
  });
}

/**
 * Whether a release has come to where its deploy wanted it.
 * @throws HoldoverError RELEASE_FAILED, RELEASE_TRANSITION
 */
function judge(view: ReleaseView): ReleaseView | "going on" {
  switch (view.state) {
    case "failed": {
      const { code, problem } = view.failure ?? { code: "INTERNAL", problem: "no reason was given" };
      const details = { service: view.service, release: view.id, problem: `${code}: ${problem}` };
      throw new HoldoverError("RELEASE_FAILED", details, { cause: view });
    }
    case "retired":
      if (view.currentAtMs > 0) return view;
      throw new HoldoverError("RELEASE_TRANSITION", {
        release: view.id,
        from: "retired",
        to: view.then === "promote" ? "current" : view.then === "ramp" ? "ramping" : "ready",
        allowed: "starting",
      });
    case "starting":
      return "going on";
    case "ready":
      return view.then === "wait" ? view : "going on";
    case "ramping":
      return view.then === "promote" ? "going on" : view;
    case "current":
    case "retained":
    case "expiring":
      return view;
  }
}

/** The step that a release is at, in a few words. */
function stepOf(view: ReleaseView, hasGate: boolean): string {
  if (view.state !== "starting") return view.state;
  if (view.digest === null) return `snapshot of ${view.dir}`;
  const healthy = view.instances.filter(({ state }) => state === "ready").length;
  if (healthy >= view.instancesWanted && hasGate) return "gate";
  return `instances ${healthy}/${view.instancesWanted} healthy`;
}

import type { ApiClient, ReleaseView } from "./api-client.ts";
import type { Cli } from "./cli.ts";
import { createProgress } from "./output/progress.ts";
import { restartStep } from "./output/restart-step.ts";
import { liveSessions } from "./output/session-count.ts";
import { patiently } from "./reconnect.ts";
import { interruptible } from "./terminal.ts";

const POLL_MS = 500;

/** How a restart ended: the release as it is then, and which of the instances that it was to replace are still there. */
interface RestartEnd {
  readonly release: ReleaseView;
  readonly before: readonly string[];
  readonly left: readonly string[];
}

/**
 * Follows a rolling restart until it is over, and tells each step.
 * @param begun the release as it was when the restart had begun
 * @throws HoldoverError NOT_RUNNING or CONTROL_BUSY where control stays away
 */
export async function followRestart(cli: Cli, api: ApiClient, begun: ReleaseView): Promise<RestartEnd | "interrupted"> {
  const { service, id, restart } = begun;
  const before = restart ? [...restart.leaving, ...restart.waiting] : [];
  const progress = createProgress(cli.terminal, cli.json);
  return interruptible(cli.terminal, async (signal) => {
    try {
      for (let view: ReleaseView | undefined = begun; view && !signal.aborted;) {
        if (!view.restart) {
          const alive = new Set(view.instances.map((instance) => instance.id));
          return { release: view, before, left: before.filter((one) => alive.has(one)) };
        }
        progress.step(`${service} ${id}: ${stepOf(cli, view, view.restart, before.length)}`);
        await cli.terminal.pause(POLL_MS, signal);
        view = await patiently(
          cli.terminal,
          async () => api.release(service, id),
          (line) => progress.note(line),
          signal,
        );
      }
    } finally {
      progress.done();
    }
    cli.note(`The restart of ${id} goes on. Stop it with \`holdover restart ${service} --cancel\`.`);
    return "interrupted";
  });
}

function stepOf(cli: Cli, view: ReleaseView, restart: NonNullable<ReleaseView["restart"]>, all: number): string {
  const batch = Math.ceil((all - restart.waiting.length) / restart.batch);
  const step = `batch ${batch} of ${Math.ceil(all / restart.batch)}: ${restartStep(restart, cli.terminal.now())}`;
  // Elsewhere each change of the count would be a line of its own.
  return cli.terminal.stderr.isTTY ? `${step}; ${liveSessions(liveOn(view, restart.leaving))}` : step;
}

function liveOn({ instances }: ReleaseView, leaving: readonly string[]): ReleaseView["sessions"] {
  const counts = instances.filter(({ id }) => leaving.includes(id)).map(({ sessions }) => sessions);
  return counts.reduce(
    (sum, one) =>
      sum &&
      one && {
        open: sum.open + one.open,
        lingering: sum.lingering + one.lingering,
        connections: sum.connections + one.connections,
        wedged: sum.wedged + one.wedged,
      },
    { open: 0, lingering: 0, connections: 0, wedged: 0 },
  );
}

import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isAlive, type Clock, type Instance, type InstanceSpec } from "@holdover/core";
import { createProcessPlatform, type ProcessPlatform } from "./platform.ts";
import { factsOf, findByEnvironment } from "./process-table.ts";

/** For tests: a place with a state directory and the sample application, whose every process can be found and ended. */
export interface Sandbox {
  readonly dir: string;
  readonly stateDir: string;
  readonly snapshot: string;
  /** What instances inherit; it marks them as ours. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly events: { event: string; detail: Readonly<Record<string, unknown>> }[];
  /** A platform on the state directory, not adopted yet. */
  platform(clock?: Clock): ProcessPlatform;
  spec(behaviour: string, changes?: Partial<InstanceSpec>): InstanceSpec;
  /** Ends all platforms and every process that carries the mark, and removes the directory. */
  dispose(): Promise<void>;
}

const MARK = "SANDBOX_OF_A_TEST";

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

export async function createSandbox(): Promise<Sandbox> {
  const dir = await mkdtemp(join(tmpdir(), "holdover-process-"));
  const mark = randomUUID();
  const platforms: ProcessPlatform[] = [];
  const snapshot = join(dir, "snapshot");
  const stateDir = join(dir, "state");
  const events: Sandbox["events"] = [];
  const environment = { ...process.env, [MARK]: mark };
  await mkdir(snapshot);
  await cp(new URL("../../../../testkit/apps/instance.js", import.meta.url), join(snapshot, "instance.js"));
  await writeFile(join(snapshot, "package.json"), '{ "type": "module" }');
  let ordinal = 0;
  return {
    dir,
    stateDir,
    snapshot,
    environment,
    events,
    platform(clock = systemClock) {
      const log = (event: string, detail: Readonly<Record<string, unknown>>): void => {
        events.push({ event, detail });
      };
      const platform = createProcessPlatform({ stateDir, clock, log, environment });
      platforms.push(platform);
      return platform;
    },
    spec(behaviour, changes = {}) {
      ordinal += 1;
      return {
        id: `web-v1-${ordinal}`,
        service: "web",
        release: "v1",
        snapshot,
        command: ["node", "instance.js"],
        env: { BEHAVIOUR: behaviour },
        health: { path: "/health", startTimeout: 10_000, interval: 100, timeout: 1000 },
        ...changes,
      };
    },
    async dispose() {
      await Promise.all(platforms.map((platform) => platform.close()));
      await endMarked(mark);
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Those that are our children have to be waited for as well, by libuv: they are gone from the table then. */
async function endMarked(mark: string): Promise<void> {
  for (;;) {
    const pids = (await findByEnvironment(MARK, new Set([mark]))).get(mark) ?? [];
    const running = pids.filter((pid) => factsOf(pid)?.defunct === false && pid !== process.pid);
    if (running.length === 0) return;
    for (const pid of running) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It ended in between.
      }
    }
    await new Promise<void>((resolve) => void setTimeout(resolve, 20));
  }
}

/** Waits for an instance to be as wanted. */
export function until(
  platform: ProcessPlatform,
  id: string,
  wanted: (instance: Instance) => boolean,
): Promise<Instance> {
  return new Promise((resolve) => {
    const look = (): void => {
      const one = platform.instances()?.find((instance) => instance.id === id);
      if (!one || !wanted(one)) return;
      end();
      resolve(one);
    };
    const end = platform.subscribe(look);
    look();
  });
}

export async function startReady(platform: ProcessPlatform, spec: InstanceSpec): Promise<Instance> {
  await platform.start(spec);
  const one = await until(platform, spec.id, ({ state }) => state.name === "ready" || state.name === "lost");
  if (one.state.name !== "ready") throw new Error(`${one.id} did not get ready: ${JSON.stringify(one.state)}`);
  return one;
}

export function untilEnded(platform: ProcessPlatform, id: string): Promise<Instance> {
  return until(platform, id, (one) => !isAlive(one));
}

/** What the sample application tells of itself. */
export async function told(instance: Instance): Promise<{ pid: number; cwd: string; env: Record<string, string> }> {
  const request = get({ host: instance.host, port: instance.port, path: "/", agent: false });
  const [response] = (await once(request, "response")) as [AsyncIterable<Buffer>];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString()) as { pid: number; cwd: string; env: Record<string, string> };
}

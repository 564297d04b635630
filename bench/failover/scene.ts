import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { startCluster, type Cluster } from "@holdover/testkit/cluster";
import { openSession, type SessionClient } from "./session-client.ts";

const COUNTER_DIR = fileURLToPath(new URL("counter", import.meta.url));
const INSTANCES = 4;
const SESSIONS = 40;

/** How often a ready instance of each service is checked, and how long a check may take, ms. */
export const CHECKS = {
  crash: { interval: 2000, timeout: 1000 },
  hang: { interval: 200, timeout: 200 },
} as const;
export type ServiceName = keyof typeof CHECKS;

/** A real `holdover up` with two services that differ in their health checks, each with instances of the counter. */
export interface Scene {
  readonly cluster: Cluster;
  /** Deploys a new release and opens sessions on it, spread over its instances. What was open before is closed. */
  begin(service: ServiceName): Promise<void>;
  /** Kills host and starts it again: the instances are adopted, and nobody is told of their end from then on. */
  restartHost(service: ServiceName): Promise<void>;
  /**
   * Sends a signal to the instance with the most sessions. Resolves when all of them have been served by others, and all
   * instances are there again.
   */
  strike(service: ServiceName, signal: "SIGKILL" | "SIGSTOP"): Promise<Strike>;
  stop(): Promise<void>;
}

export interface Strike {
  readonly victim: string;
  /** From the signal to the first message on another instance, ms; one for each session. */
  readonly servedMs: readonly number[];
  /** From the signal to the closing of the client's socket, ms. */
  readonly closedMs: readonly number[];
  /** From the arrival of the new connection to the session's state having been read on its new instance, ms. */
  readonly readMs: readonly number[];
  /** Connections that were refused in between, of all sessions. */
  readonly refused: number;
  /** How long host had work to do and no CPU to do it on, from the signal to the last of these messages, ms. */
  readonly hostWaitedMs: number;
}

export async function setUp(): Promise<Scene> {
  const service = (name: ServiceName) => ({
    path: `/${name}`,
    command: ["node", "server.ts"],
    instances: INSTANCES,
    session: { key: [{ query: "session" }], linger: "3s" },
    health: { path: "/", interval: `${CHECKS[name].interval}ms`, timeout: `${CHECKS[name].timeout}ms` },
    retention: { policy: "until-empty", floor: "0s" },
  });
  const cluster = await startCluster({ services: { crash: service("crash"), hang: service("hang") } });
  let clients: readonly SessionClient[] = [];
  let releases = 0;
  let release = "";

  const allReady = async (name: ServiceName): Promise<void> => {
    await cluster.until(`all instances of ${release} are ready`, ({ router, services }) => {
      const found = services.find((one) => one.name === name)?.releases.find((one) => one.id === release);
      const ready = found?.instances.filter((one) => one.state === "ready").length;
      return router.linked && router.tableInForce === router.tableIssued && ready === INSTANCES;
    });
  };
  const leave = (): void => {
    for (const client of clients) client.close();
    clients = [];
  };
  const enter = async (name: ServiceName): Promise<void> => {
    const keys = Array.from({ length: SESSIONS }, (_, index) => `${release}-${index}`);
    clients = await Promise.all(keys.map((key) => openSession(`${cluster.url}/${name}/`, key)));
  };

  return {
    cluster,
    async begin(name) {
      leave();
      releases += 1;
      release = `r${releases}`;
      await cluster.succeed("deploy", name, "--release", release, "--dir", COUNTER_DIR);
      await allReady(name);
      await enter(name);
    },
    async restartHost(name) {
      leave();
      await cluster.kill("host");
      await cluster.restart();
      await allReady(name);
      await enter(name);
    },
    async strike(name, signal) {
      const victim = mostOf(clients.map((client) => client.instance()));
      const pid = (await cluster.instancePids()).get(victim);
      if (pid === undefined) throw new Error(`no process is known of ${victim}`);
      const again = clients.filter((client) => client.instance() === victim).map((client) => client.servedAgain());
      const hostPid = await cluster.hostPid();
      const waitedBeforeMs = cpuWaitMs(hostPid);
      const atMs = performance.now();
      process.kill(pid, signal);
      const served = await Promise.all(again);
      const hostWaitedMs = cpuWaitMs(hostPid) - waitedBeforeMs;
      const back = served.filter(({ instance }) => instance === victim);
      if (back.length > 0) throw new Error(`${back.length} sessions were served by ${victim} after its end`);
      await allReady(name);
      return {
        victim,
        servedMs: served.map(({ servedAtMs }) => servedAtMs - atMs),
        closedMs: served.map(({ closedAtMs }) => closedAtMs - atMs),
        readMs: served.map(({ readMs }) => readMs),
        refused: served.reduce((sum, { refused }) => sum + refused, 0),
        hostWaitedMs,
      };
    },
    async stop() {
      leave();
      await cluster.stop();
    },
  };
}

/** How long the main thread of a process has waited for a CPU so far, ms. Linux, sched-stats: the second number, ns. */
function cpuWaitMs(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[1]) / 1e6;
}

function mostOf(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  const most = [...counts].toSorted(([, one], [, other]) => other - one)[0];
  if (!most) throw new Error("no session is open");
  return most[0];
}

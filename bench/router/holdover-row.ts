import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startCluster, type Cluster } from "@holdover/testkit/cluster";
import type { Row } from "./row.ts";

export const SERVICE = "echo";
export const ECHO_DIR = fileURLToPath(new URL("echo", import.meta.url));
/**
 * How long a session without a connection keeps its place here, ms. Short, so that the end of a session falls into the
 * time in which the CPU of its opening is counted.
 */
export const LINGER_MS = 1_000;

/** A real `holdover up` with one instance, and where everything is. */
export interface HoldoverRow extends Row {
  readonly cluster: Cluster;
  readonly hostPid: number;
  readonly controlPid: number;
  /** The instance's own port: the row without a proxy and the peers go there too. */
  readonly instancePort: number;
}

export async function startHoldover(env: Readonly<Record<string, string>> = {}): Promise<HoldoverRow> {
  const cluster = await startCluster({
    services: {
      [SERVICE]: {
        dir: ECHO_DIR,
        release: "v1",
        command: ["node", "server.ts"],
        session: { key: [{ query: "room" }], linger: `${LINGER_MS}ms` },
        health: { path: "/healthz" },
        // Both releases stay warm while the table goes back and forth between them.
        retention: { policy: "until-empty", floor: "1h" },
      },
    },
    env,
  });
  try {
    await cluster.until("v1 is current", ({ services }) => services[0]?.current === "v1");
    const hostPid = await cluster.hostPid();
    return {
      name: "holdover",
      title: "Holdover",
      port: Number(new URL(cluster.url).port),
      pids: [hostPid],
      stop: () => cluster.stop(),
      cluster,
      hostPid,
      controlPid: await cluster.controlPid(),
      instancePort: instancePort(cluster.stateDir),
    };
  } catch (thrown) {
    await cluster.stop();
    throw thrown;
  }
}

/** The API tells no ports: they are nobody's business but the router's. */
function instancePort(stateDir: string): number {
  const records = join(stateDir, "instances");
  const file = readdirSync(records).find((name) => name.endsWith(".json"));
  if (file === undefined) throw new Error("the instance has left no record");
  const { instance } = JSON.parse(readFileSync(join(records, file), "utf8")) as { instance: { port: number } };
  return instance.port;
}

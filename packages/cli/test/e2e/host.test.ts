import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { REPOSITORY, startCluster, type Cluster } from "@holdover/testkit/cluster";
import { MARKER, processesOf } from "@holdover/testkit/cluster-processes";
import { joinRoom } from "@holdover/testkit/room-client";
import { openLedger } from "@holdover/testkit/room-ledger";
import { afterEach, describe, expect, test, vi } from "vitest";

const NODE = join(REPOSITORY, "node_modules", ".bin", "node");
const HOLDOVER = join(REPOSITORY, "packages", "cli", "bin", "holdover.js");

const rooms = {
  dir: join(REPOSITORY, "examples", "rooms"),
  release: "v1",
  command: ["node", "server.js"],
  session: { key: [{ query: "room" }], linger: "1s" },
  health: { path: "/healthz" },
};

let cluster: Cluster | undefined;

afterEach(async () => {
  await cluster?.stop();
  cluster = undefined;
});

async function start(): Promise<Cluster> {
  cluster = await startCluster({ services: { rooms } });
  await cluster.until("v1 is current", (status) => status.services[0]?.current === "v1");
  return cluster;
}

/** Starts `holdover up` on the cluster's directory, as a process of the cluster. */
function up(running: Cluster): { child: ChildProcess; stdout: Readable; exit: Promise<number | null> } {
  const env = { ...process.env, [MARKER]: running.directory };
  const child = spawn(NODE, [HOLDOVER, "up"], { cwd: running.directory, env, stdio: ["ignore", "pipe", "ignore"] });
  const exit = once(child, "exit").then(([code]: (number | null)[]) => code ?? null);
  return { child, stdout: child.stdout, exit };
}

const nothingRuns = (running: Cluster): Promise<void> =>
  vi.waitFor(async () => expect(await processesOf(running.directory)).toEqual([]), { timeout: 15_000, interval: 50 });

test("a terminal that is closed is a signal like the others: the live session ends by itself, then all is put away", async () => {
  const running = await start();
  const client = await joinRoom({ url: running.url, name: "ana", ledger: openLedger("lobby") });
  const { length: count } = await processesOf(running.directory);
  await running.kill("host", "SIGHUP");
  await vi.waitFor(async () => {
    const { router } = await running.api<{ router: { closing: boolean } }>("GET", "/v1/status");
    expect(router.closing).toBe(true);
  });
  expect(await processesOf(running.directory)).toHaveLength(count);
  client.destroy();
  await nothingRuns(running);
  await expect(stat(join(running.stateDir, "run", "addresses.json"))).rejects.toMatchObject({ code: "ENOENT" });
});

describe("up", () => {
  test("that is told to end while it starts ends when it has started, and leaves nothing running", async () => {
    const running = await start();
    await running.succeed("down", "--now");
    const { child, stdout, exit } = up(running);
    stdout.resume();
    // The last thing before control is started, and with it what that starts.
    const config = join(running.stateDir, "run", "config.json");
    await vi.waitFor(() => stat(config), { timeout: 15_000, interval: 5 });
    child.kill("SIGTERM");
    expect(await exit).toBe(0);
    await nothingRuns(running);
    await expect(stat(config)).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("whose API cannot listen fails by name and leaves no instance behind", async () => {
    const running = await start();
    await running.succeed("down", "--now");
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const file = join(running.directory, "holdover.yaml");
    const config = JSON.parse(await readFile(file, "utf8")) as Record<string, unknown>;
    await writeFile(file, JSON.stringify({ ...config, api: `127.0.0.1:${port}` }));
    const failed = await running.run("up");
    server.close();
    expect(failed.stderr).toContain("PORT_TAKEN");
    expect(failed.code).toBe(1);
    await nothingRuns(running);
  });

  test("goes on serving when whoever reads its output has gone", async () => {
    const running = await start();
    await running.succeed("down", "--now");
    const { stdout, exit } = up(running);
    for await (const line of createInterface({ input: stdout })) if (line.includes("is up")) break;
    stdout.destroy();
    await running.succeed("deploy", "rooms", "--release", "v2", "--dir", rooms.dir);
    expect((await running.status()).services[0]?.current).toBe("v2");
    await running.succeed("down", "--now");
    expect(await exit).toBe(0);
  });
});

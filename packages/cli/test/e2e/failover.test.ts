import { once } from "node:events";
import { rmSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { get, type IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startCluster, type Cluster } from "@holdover/testkit/cluster";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { connect } from "../../../client/src/index.ts";

const WAIT = { timeout: 15_000 };

/** Answers every message with where it is served. It takes no connection before the gate of its release is open, a file. */
const APP = `
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { WebSocketServer } from "ws";
const { HOLDOVER_INSTANCE: instance, HOLDOVER_RELEASE: release, GATE, PORT, HOST } = process.env;
const server = createServer((request, response) => response.end(instance));
new WebSocketServer({ server }).on("connection", (socket, request) => {
  const fence = Number(request.headers["holdover-fence"]);
  socket.on("message", (data) => {
    while (String(data) === "block");
    socket.send(JSON.stringify({ instance, release, fence }));
  });
});
while (!existsSync(join(GATE, release))) await delay(10);
server.listen(Number(PORT), HOST);
`;

interface Served {
  readonly instance: string;
  readonly release: string;
  readonly fence: number;
}

/** A client that connects again the moment its socket has closed. */
interface Eager {
  readonly served: readonly Served[];
  readonly closed: readonly string[];
  /** Connections that were not given. */
  readonly refused: readonly string[];
  say(text: string): void;
  /** Resolves with how it was served on its connection of this number, from 1. */
  nth(connection: number): Promise<Served>;
}

/** Whether instances of a release get ready when they start. */
interface Gate {
  open(release: string): Promise<void>;
  close(release: string): Promise<void>;
}

let cluster: Cluster;
let gate: Gate;
const endings: (() => void)[] = [];

afterEach(async () => {
  for (const end of endings.splice(0)) end();
  await cluster.stop();
});

async function start(more: Record<string, unknown> = {}): Promise<void> {
  const gates = await mkdtemp(join(tmpdir(), "holdover-gates-"));
  gate = {
    open: (release) => writeFile(join(gates, release), ""),
    close: (release) => rm(join(gates, release)),
  };
  endings.push(() => rmSync(gates, { recursive: true }));
  for (const release of ["v1", "v2"]) await gate.open(release);
  cluster = await startCluster({
    services: {
      app: {
        command: ["node", "server.js"],
        instances: 3,
        session: { key: [{ query: "s" }], linger: "60s" },
        health: { path: "/" },
        env: { GATE: gates },
        ...more,
      },
    },
  });
  const build = join(cluster.directory, "build");
  await mkdir(build);
  await writeFile(join(build, "server.js"), APP);
  await writeFile(join(build, "package.json"), `{ "type": "module" }`);
}

const deploy = (release: string): Promise<string> =>
  cluster.succeed("deploy", "app", "--release", release, "--dir", join(cluster.directory, "build"));

function eager(session: string): Eager {
  const served: Served[] = [];
  const closed: string[] = [];
  const refused: string[] = [];
  const waiting: (() => void)[] = [];
  let over = false;
  let socket: WebSocket;
  const dial = (): void => {
    socket = new WebSocket(`${cluster.url.replace("http", "ws")}/?s=${session}`, { perMessageDeflate: false });
    const mine = socket;
    let problem = "";
    let opened = false;
    mine.on("open", () => mine.send("?"));
    mine.on("error", (error) => (problem = error.message));
    mine.on("message", (data: Buffer) => {
      opened = true;
      served.push(JSON.parse(data.toString()) as Served);
      for (const wake of waiting.splice(0)) wake();
    });
    mine.on("close", (code, reason) => {
      if (over) return;
      if (opened) closed.push(`${code} ${reason.toString()}`);
      else refused.push(problem);
      dial();
    });
  };
  dial();
  endings.push(() => {
    over = true;
    socket.terminate();
  });
  return {
    served,
    closed,
    refused,
    say: (text) => socket.send(text),
    async nth(connection) {
      for (;;) {
        const found = served[connection - 1];
        if (found) return found;
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
    },
  };
}

const many = (count: number, name = "s"): Eager[] =>
  Array.from({ length: count }, (_, index) => eager(`${name}${index}`));

/** Every one of them was served on another instance than before by its very next connection. */
async function movedOver(hit: readonly Eager[], victim: string): Promise<void> {
  for (const client of hit) {
    const [before, after] = [await client.nth(1), await client.nth(2)];
    expect([before.instance, after.instance]).not.toEqual([victim, victim]);
    expect(after.fence).toBeGreaterThan(before.fence);
    expect(client.closed).toEqual(["1012 instance lost, connect again; retry=500"]);
    expect(client.refused).toEqual([]);
  }
}

async function answer(session: string): Promise<{ status: number; retryAfter: string | undefined; body: string }> {
  const asked = get(`${cluster.url}/?s=${session}`, { agent: false });
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  let body = "";
  for await (const chunk of response.setEncoding("utf8")) body += chunk as string;
  return { status: response.statusCode ?? 0, retryAfter: response.headers["retry-after"], body };
}

describe("kill -9 of an instance", () => {
  test.each(["our child", "adopted"] as const)(
    "that is %s: each of its sessions is served by another on its next connection, and none is refused",
    async (how) => {
      await start();
      await deploy("v1");
      if (how === "adopted") {
        await cluster.kill("host");
        await cluster.restart();
        await cluster.until("host and control are linked", ({ router }) => router.linked);
      }
      const clients = many(15);
      const places = await Promise.all(clients.map((client) => client.nth(1)));
      const victim = places[0]?.instance ?? "";
      const hit = clients.filter((_, index) => places[index]?.instance === victim);
      const pids = await cluster.instancePids();
      process.kill(pids.get(victim) ?? 0, "SIGKILL");
      await movedOver(hit, victim);
      const releases = await Promise.all(hit.map(async (client) => (await client.nth(2)).release));
      expect(new Set(releases)).toEqual(new Set(["v1"]));
      expect(clients.filter((client) => client.closed.length > 0)).toEqual(hit);
    },
  );

  test("of a retained release: first on the same release, and on the current one where nothing of it is left", async () => {
    await start({ instances: 2, retention: { policy: "until-empty", floor: "1h" } });
    await deploy("v1");
    const clients = many(6);
    const before = await Promise.all(clients.map((client) => client.nth(1)));
    const [first, second, ...none] = [...new Set(before.map(({ instance }) => instance))];
    expect([second === undefined, none]).toEqual([false, []]);
    await deploy("v2");
    await gate.close("v1");
    const pids = await cluster.instancePids();
    const hit = clients.filter((_, index) => before[index]?.instance === first);
    process.kill(pids.get(first ?? "") ?? 0, "SIGKILL");
    for (const client of hit) expect(await client.nth(2)).toMatchObject({ release: "v1", instance: second });
    process.kill(pids.get(second ?? "") ?? 0, "SIGKILL");
    for (const client of clients) {
      expect((await client.nth(hit.includes(client) ? 3 : 2)).release).toBe("v2");
      expect(client.refused).toEqual([]);
    }
  });
});

test("where no instance is left a client is told when to come again, and comes back to the replacement", async () => {
  await start({ instances: 1 });
  await deploy("v1");
  const connection = connect(cluster.url, {
    session: { query: "s", key: "a" },
    numbered: false,
    baseMs: 50,
    capMs: 200,
  });
  endings.push(() => connection.close());
  const messages: Served[] = [];
  const states: string[] = [];
  connection.on("message", (text) => messages.push(JSON.parse(text) as Served));
  connection.on("open", () => connection.send("?"));
  connection.on("state", (state) => states.push(state));
  await expect.poll(() => messages.length, WAIT).toBe(1);
  await gate.close("v1");
  await cluster.kill({ instance: messages[0]?.instance ?? "" });
  const refused = await answer("b");
  expect(refused).toMatchObject({ status: 503, retryAfter: "1" });
  expect(refused.body).toContain("NO_INSTANCE");
  // It was open once, and has been refused since.
  await expect.poll(() => states.filter((state) => state === "connecting").length, WAIT).toBeGreaterThan(1);
  expect(messages).toHaveLength(1);
  await gate.open("v1");
  await expect.poll(() => messages.length, WAIT).toBe(2);
  expect(messages[1]?.instance).not.toBe(messages[0]?.instance);
  expect(messages[1]?.fence).toBeGreaterThan(messages[0]?.fence ?? Infinity);
});

describe("an instance that hangs is lost with the third check, and its sessions are served by others", () => {
  test.each(["is stopped", "blocks its event loop"] as const)("where it %s", async (how) => {
    await start({ health: { path: "/", interval: "200ms", timeout: "1s" } });
    await deploy("v1");
    const clients = many(9);
    const places = await Promise.all(clients.map((client) => client.nth(1)));
    const victim = places[0]?.instance ?? "";
    const hit = clients.filter((_, index) => places[index]?.instance === victim);
    if (how === "is stopped") process.kill((await cluster.instancePids()).get(victim) ?? 0, "SIGSTOP");
    else hit[0]?.say("block");
    // Connects while nobody knows yet. It is not given up, and not refused.
    const late = eager("s0");
    await movedOver(hit, victim);
    expect((await late.nth(1)).instance).not.toBe(victim);
    expect([late.closed, late.refused]).toEqual([[], []]);
    expect(await silentChecks(victim)).toEqual([1, 2, 3]);
  });
});

/** How many failed checks in a row host has written down, each time. */
async function silentChecks(instance: string): Promise<unknown[]> {
  const lines = (await readFile(join(cluster.stateDir, "logs", "host.log"), "utf8")).trimEnd().split("\n");
  return lines
    .map((line) => JSON.parse(line) as { msg: string; instance?: string; checks?: number })
    .filter((line) => line.msg === "instance-silent" && line.instance === instance)
    .map(({ checks }) => checks);
}

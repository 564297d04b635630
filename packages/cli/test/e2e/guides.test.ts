import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { REPOSITORY, startCluster, type Cluster } from "@holdover/testkit/cluster";
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { parse } from "yaml";

/** What the guides show is run as it stands there. */

const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).toReversed()) await end();
});

async function blocksOf(guide: string): Promise<Record<string, string>> {
  const text = await readFile(join(REPOSITORY, "docs", guide), "utf8");
  const blocks: Record<string, string> = {};
  for (const [, language = "", code = ""] of text.matchAll(/^```(\w+)\n([^]*?)^```$/gm)) blocks[language] ??= code;
  return blocks;
}

interface Counted {
  readonly count: number;
  readonly fence: number;
}

async function count(url: string): Promise<Counted> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/?room=7`);
  const answer = new Promise<Counted>((resolve, reject) => {
    socket.on("open", () => socket.send("count"));
    socket.on("message", (data: Buffer) => resolve(JSON.parse(data.toString()) as Counted));
    socket.on("error", reject);
    socket.on("close", (code) => reject(new Error(`closed with ${code}`)));
  });
  try {
    return await answer;
  } finally {
    socket.close();
  }
}

/** The service of a guide, as it stands there. @param file what the guide calls its code */
async function startGuide(guide: string, file: string): Promise<Cluster> {
  const { ts, js, yaml } = await blocksOf(guide);
  // Where a snapshot of it finds the packages.
  const dir = await mkdtemp(join(REPOSITORY, ".holdover-guide-"));
  endings.push(() => rm(dir, { recursive: true }));
  await writeFile(join(dir, file), ts ?? js ?? "");
  await writeFile(join(dir, "package.json"), '{ "type": "module" }');
  const { services } = parse(yaml ?? "") as { services: Record<string, object> };
  const [[name, service] = ["", {}]] = Object.entries(services);
  const cluster = await startCluster({ services: { [name]: { ...service, dir, release: "v1" } } });
  endings.push(() => cluster.stop());
  await cluster.until("v1 is current", ({ services: [first] }) =>
    first?.releases.some(({ state }) => state === "current") ? true : undefined,
  );
  return cluster;
}

test("the WebSocket service of its guide goes on counting when its instance is killed", async () => {
  const cluster = await startGuide("websocket-service.md", "server.ts");
  const first = await count(cluster.url);
  const second = await count(cluster.url);
  expect([first.count, second.count]).toEqual([1, 2]);
  const [session] = await cluster.json<{ instance: string }[]>("sessions");
  await cluster.kill({ instance: session?.instance ?? "" }, "SIGKILL");
  const third = await count(cluster.url);
  expect(third.count).toBe(3);
  expect(third.fence).toBeGreaterThan(second.fence);

  // At the end it hears that nothing is left for it, and ends by itself.
  await cluster.until("both instances are ready", ({ services: [tally] }) => {
    const [v1] = tally?.releases ?? [];
    return v1?.instances.filter(({ state }) => state === "ready").length === 2 ? true : undefined;
  });
  await cluster.succeed("down", "--now");
  const log = await readFile(join(cluster.stateDir, "logs", "host.log"), "utf8");
  const ends = log.split("\n").filter((line) => line.includes('"instance-ended"'));
  expect(ends.filter((line) => line.includes('"problem":"exit code 0"'))).toHaveLength(2);
});

test("the pool of its guide goes on with a job where the worker was that was killed", async () => {
  const reports: string[] = [];
  const reported = Promise.withResolvers<void>();
  const report = createServer((request, response) => {
    void text(request).then((body) => {
      reports.push(body);
      response.end();
      reported.resolve();
    });
  });
  await new Promise<void>((resolve) => report.listen(0, "127.0.0.1", resolve));
  endings.push(() => new Promise((resolve) => report.close(resolve)));
  const { port } = report.address() as AddressInfo;
  const cluster = await startGuide("agent-pool.md", "agent.ts");
  const job = {
    key: "job-1",
    agent: "count",
    payload: { steps: 20, report: `http://127.0.0.1:${port}/` },
  };
  const first = await cluster.api<Opened>("POST", "/v1/services/counting/sessions", job);
  await cluster.kill({ instance: first.instance }, "SIGKILL");
  await cluster.until("nobody is on it", ({ services: [counting] }) =>
    counting?.releases.some(({ instances }) => instances.every(({ id }) => id !== first.instance)) ? true : undefined,
  );
  const second = await cluster.api<Opened>("POST", "/v1/services/counting/sessions", job);
  expect(second.instance).not.toBe(first.instance);
  expect(second.fence).toBeGreaterThan(first.fence);
  await reported.promise;
  expect(reports).toEqual([second.instance]);
});

test("the whole app of the guide on bringing one keeps its rooms over a deploy, and ends by itself when told to", async () => {
  const cluster = await startGuide("own-app.md", "server.js");
  const members: WebSocket[] = [];
  const join = async (room: string) => {
    const socket = new WebSocket(`${cluster.url.replace("http", "ws")}/?room=${room}`);
    members.push(socket);
    await once(socket, "open");
    return socket;
  };
  const [ana, bo] = [await join("lobby"), await join("lobby")];
  await cluster.succeed("deploy", "talk", "--release", "v2");
  const late = await join("lobby");
  await join("garden");
  const heard = Promise.all([ana, bo, late].map((socket) => once(socket, "message")));
  late.send("hello");
  expect((await heard).map(([data]) => String(data))).toEqual(["hello", "hello", "hello"]);
  const sessions = await cluster.json<{ key: string; release: string; connections: number }[]>("sessions");
  expect(sessions.map(({ key, release, connections }) => ({ key, release, connections }))).toEqual([
    { key: "lobby", release: "v1", connections: 3 },
    { key: "garden", release: "v2", connections: 1 },
  ]);
  expect(await (await fetch(cluster.url)).text()).toBe("release v2\n");

  for (const socket of members) socket.terminate();
  await cluster.succeed("down");
  const log = await readFile(`${cluster.stateDir}/logs/host.log`, "utf8");
  const ends = log.split("\n").filter((line) => line.includes('"instance-ended"'));
  expect(ends.filter((line) => line.includes('"problem":"exit code 0"'))).toHaveLength(4);
});

interface Opened {
  readonly instance: string;
  readonly fence: number;
}

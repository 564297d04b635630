import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startCluster, type Cluster } from "@holdover/testkit/cluster";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

/** It counts the requests of each session in the session's state; `/open` begins one by itself, `/hold` holds one. */
const APP = `
import { createServer } from "node:http";
import { defineSessionFormat, joinHoldover } from "@holdover/worker";
const schema = { "~standard": { version: 1, vendor: "app", validate: (value) => ({ value }) } };
const counter = defineSessionFormat({ name: "counter", version: 1, schema });
const server = createServer(async (request, response) => {
  if (holdover.probe(request, response)) return;
  const { pathname, searchParams } = new URL(request.url, "http://app");
  try {
    const key = searchParams.get("open");
    const session = key ? await holdover.open({ key }) : holdover.sessionOf(request);
    if (pathname === "/hold") await session.attach();
    if (pathname === "/end") await session.end();
    const count = ((await session.state.read(counter)) ?? 0) + 1;
    await session.state.write(counter, count);
    const ending = session.signal.aborted ? session.signal.reason : null;
    response.end(JSON.stringify({ instance: holdover.member.instance, fence: session.fence, count, ending }));
  } catch (error) {
    response.writeHead(500).end(String(error));
  }
});
const holdover = await joinHoldover({ server, formats: [counter] });
server.listen(Number(process.env.PORT), process.env.HOST);
`;

interface Served {
  readonly instance: string;
  readonly fence: number;
  readonly count: number;
  readonly ending: string | null;
}

let cluster: Cluster;
beforeEach(async () => {
  cluster = await startCluster({
    services: {
      app: {
        command: ["node", "server.js"],
        instances: 3,
        session: { key: [{ query: "s" }], linger: "60s" },
        health: { path: "/readyz" },
      },
    },
  });
  const build = join(cluster.directory, "build");
  await mkdir(build);
  await writeFile(join(build, "server.js"), APP);
  await writeFile(join(build, "package.json"), `{ "type": "module" }`);
  await cluster.succeed("deploy", "app", "--release", "v1", "--dir", build);
});
afterEach(() => cluster.stop());

async function ask(path: string): Promise<Served> {
  const response = await fetch(`${cluster.url}${path}`, { headers: { connection: "close" } });
  const text = await response.text();
  if (!response.ok) throw new Error(`${path} was answered with ${response.status}: ${text}`);
  return JSON.parse(text) as Served;
}

/** How often something was written to the log of host. */
async function logged(event: string): Promise<number> {
  const lines = (await readFile(join(cluster.stateDir, "logs", "host.log"), "utf8")).trimEnd().split("\n");
  return lines.filter((line) => (JSON.parse(line) as { msg: string }).msg === event).length;
}

describe("a service whose instances have joined", () => {
  test("kill -9 of one: the next request of each of its sessions is on another, with its state", async () => {
    const keys = Array.from({ length: 9 }, (_, n) => `s${n}`);
    for (const key of keys) await ask(`/?s=${key}`);
    // Sessions that the instance holds by itself, one that it opened among them.
    const opened = await ask("/?s=s0&open=opened");
    const held = await ask("/hold?s=s0");
    const before = new Map(await Promise.all(keys.map(async (key) => [key, await ask(`/?s=${key}`)] as const)));
    const victim = held.instance;
    expect(opened.instance).toBe(victim);
    await cluster.kill({ instance: victim });
    for (const [key, { instance, fence, count }] of before) {
      const after = await ask(`/?s=${key}`);
      expect(after.count).toBe(count + 1);
      expect(after.ending).toBeNull();
      expect(after.instance === victim).toBe(false);
      expect(after.fence > fence).toBe(instance === victim);
    }
    const again = await ask("/?s=opened");
    expect(again.instance).not.toBe(victim);
    expect([again.count, again.fence > opened.fence]).toEqual([opened.count + 1, true]);
  });

  test("SIGTERM to one: its session goes on there, new ones go elsewhere, and it ends by itself after the last", async () => {
    const before = await ask("/?s=a");
    const pid = (await cluster.instancePids()).get(before.instance) ?? 0;
    await cluster.kill({ instance: before.instance }, "SIGTERM");
    const placed = async (): Promise<string[]> => {
      const keys = Array.from({ length: 6 }, () => `n${(lastKey += 1)}`);
      return Promise.all(keys.map(async (key) => (await ask(`/?s=${key}`)).instance));
    };
    let lastKey = 0;
    await cluster.until("nothing new is placed on it", async () => !(await placed()).includes(before.instance));
    expect(await placed()).not.toContain(before.instance);
    expect(await ask("/?s=a")).toEqual({ ...before, count: 2 });
    expect([...(await cluster.instancePids()).values()]).toContain(pid);
    // What was placed there before it drained ends, too.
    await ask("/end?s=a");
    const all = Array.from({ length: lastKey }, (_, n) => `n${n + 1}`);
    for (const key of all) if ((await ask(`/?s=${key}`)).instance === before.instance) await ask(`/end?s=${key}`);
    await cluster.until("it has ended", async () => ![...(await cluster.instancePids()).values()].includes(pid));
    expect((await ask("/?s=a")).count).toBe(1);
  });

  test("kill -9 of host, and a start: the workers come back, and sessions and state are there", async () => {
    const before = await ask("/?s=a");
    const opened = await ask("/?s=a&open=opened");
    await ask("/hold?s=a");
    await cluster.kill("host");
    await cluster.restart();
    await cluster.until("the workers are back", async () => (await logged("worker.joined")) === 6);
    await cluster.until("host and control are linked", ({ router }) => router.linked);
    expect(await ask("/?s=a")).toEqual({ ...before, count: 3 });
    expect(await ask("/?s=opened")).toEqual({ ...opened, count: 2 });
    const { services } = await cluster.status();
    // The two that the instance holds: no connection is there any more.
    expect(services[0]?.sessions).toMatchObject({ open: 2, lingering: 0 });
  });
});

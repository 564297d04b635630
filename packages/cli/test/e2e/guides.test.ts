import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { REPOSITORY, startCluster } from "@holdover/testkit/cluster";
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

test("the WebSocket service of its guide goes on counting when its instance is killed", async () => {
  const { ts, yaml } = await blocksOf("websocket-service.md");
  // Where a snapshot of it finds the packages.
  const dir = await mkdtemp(join(REPOSITORY, ".holdover-guide-"));
  endings.push(() => rm(dir, { recursive: true }));
  await writeFile(join(dir, "server.ts"), ts ?? "");
  const { services } = parse(yaml ?? "") as { services: { tally: object } };
  const cluster = await startCluster({ services: { tally: { ...services.tally, dir, release: "v1" } } });
  endings.push(() => cluster.stop());
  await cluster.until("v1 is current", ({ services: [tally] }) =>
    tally?.releases.some(({ state }) => state === "current") ? true : undefined,
  );

  const first = await count(cluster.url);
  const second = await count(cluster.url);
  expect([first.count, second.count]).toEqual([1, 2]);
  const [session] = await cluster.json<{ instance: string }[]>("sessions");
  await cluster.kill({ instance: session?.instance ?? "" }, "SIGKILL");
  const third = await count(cluster.url);
  expect(third.count).toBe(3);
  expect(third.fence).toBeGreaterThan(second.fence);
});

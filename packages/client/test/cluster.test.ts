import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connect, ConnectionError, type Connection } from "@holdover/client";
import { startCluster, type Cluster } from "@holdover/testkit/cluster";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

/** Counts out loud on every channel, and says what it has heard: the last number, and how many times it was not the next one. */
const APP = `
import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { openChannels } from "@holdover/worker";
const instance = process.env.HOLDOVER_INSTANCE;
const channels = openChannels({
  open(channel) {
    let said = 0;
    let heard = 0;
    let wrong = 0;
    const timer = setInterval(() => {
      try {
        channel.send(JSON.stringify({ n: said + 1, instance, afterReset: channel.afterReset, heard, wrong }));
        said += 1;
      } catch (error) {
        if (error.code !== "FULL") throw error;
      }
    }, 5);
    return {
      message(text) {
        if (Number(text) !== heard + 1) wrong += 1;
        heard = Number(text);
      },
      end: () => clearInterval(timer),
    };
  },
});
const server = createServer((request, response) => response.end());
new WebSocketServer({ server }).on("connection", (socket, request) =>
  channels.accept(socket, new URL(request.url, "http://box").searchParams.get("room")),
);
server.listen(Number(process.env.PORT), process.env.HOST);
`;

const service = {
  command: ["node", "server.js"],
  instances: 2,
  session: { key: [{ query: "room" }], linger: "30s" },
  health: { path: "/" },
  disconnects: { atOnce: "100%" },
};

let cluster: Cluster;
const counters: Counter[] = [];

beforeAll(async () => {
  cluster = await startCluster({
    services: {
      aged: { ...service, path: "/aged", maxConnectionAge: "1s", connectionAgeGrace: "1s" },
      timed: { ...service, path: "/timed", retention: { policy: "fixed", window: "1s", grace: "5s" } },
      plain: { ...service, path: "/plain", instances: 1 },
    },
  });
  const build = join(cluster.directory, "build");
  await mkdir(build);
  await writeFile(join(build, "server.js"), APP);
  await writeFile(join(build, "package.json"), `{ "type": "module" }`);
  await Promise.all(["aged", "timed", "plain"].map((name) => deploy(name, "v1")));
}, 60_000);

afterEach(() => {
  for (const { connection } of counters.splice(0)) connection.close();
});

afterAll(() => cluster.stop());

const deploy = (name: string, release: string): Promise<string> =>
  cluster.succeed("deploy", name, "--release", release, "--dir", join(cluster.directory, "build"));

interface Said {
  readonly n: number;
  readonly instance: string;
  readonly afterReset: boolean;
  readonly heard: number;
  readonly wrong: number;
}

/** A client that counts, too; after a reset from one again. */
interface Counter {
  readonly connection: Connection;
  readonly news: string[];
  /** What the last reset gave back, and the number that was said last before it. */
  reset: { readonly givenBack: readonly string[]; readonly said: number } | null;
  last: Said | null;
  said: number;
  wrong: number;
  /** Says no more. */
  hush(): void;
}

function count(path: string, room: string): Counter {
  const connection = connect(`${cluster.url}${path}`, {
    session: { query: "room", key: room },
    baseMs: 100,
    capMs: 500,
  });
  const say = () => {
    try {
      connection.send(String(counter.said + 1));
      counter.said += 1;
    } catch (error) {
      if (!(error instanceof ConnectionError) || error.code !== "FULL") throw error;
    }
  };
  const timer = setInterval(say, 5);
  const counter: Counter = {
    connection,
    news: [],
    reset: null,
    last: null,
    said: 0,
    wrong: 0,
    hush: () => clearInterval(timer),
  };
  connection.on("open", ({ resumed }) => counter.news.push(resumed ? "resumed" : "open"));
  connection.on("moved", () => counter.news.push("moved"));
  connection.on("reset", ({ unacknowledged }) => {
    counter.news.push("reset");
    counter.reset = { givenBack: unacknowledged, said: counter.said };
    counter.said = 0;
    counter.last = null;
  });
  connection.on("close", ({ code }) => {
    counter.news.push(`closed ${code}`);
    clearInterval(timer);
  });
  connection.on("message", (text) => {
    const said = JSON.parse(text) as Said;
    if (said.n !== (counter.last?.n ?? 0) + 1) counter.wrong += 1;
    counter.last = said;
  });
  counters.push(counter);
  return counter;
}

/** Resolves when all that was sent has been heard; without a gap, and nothing twice. */
async function complete(counter: Counter): Promise<void> {
  counter.hush();
  await expect.poll(() => counter.last?.heard, { timeout: 10_000 }).toBe(counter.said);
  expect(counter.said).toBeGreaterThan(50);
  expect({ atClient: counter.wrong, atServer: counter.last?.wrong }).toEqual({ atClient: 0, atServer: 0 });
}

const resumed = ({ news }: Counter): number => news.filter((one) => one === "resumed").length;

describe("with real processes, counted all the while", () => {
  test("connections that are closed for their age, and a host that is killed and started again, cost no message", async () => {
    const all = ["a", "b", "c"].map((room) => count("/aged", room));
    for (const counter of all) await expect.poll(() => resumed(counter), { timeout: 15_000 }).toBeGreaterThanOrEqual(2);
    await cluster.kill("host");
    for (const { connection } of all) await expect.poll(() => connection.state).not.toBe("open");
    const before = all.map(resumed);
    await cluster.restart();
    for (const [index, counter] of all.entries()) {
      await expect.poll(() => resumed(counter), { timeout: 15_000 }).toBeGreaterThan(before[index] ?? 0);
    }
    for (const counter of all) {
      await complete(counter);
      expect(new Set(counter.news)).toEqual(new Set(["open", "resumed"]));
    }
  }, 60_000);

  test("a session that is moved by an expiring release begins anew on the next one, and its client is told so", async () => {
    const counter = count("/timed", "a");
    await expect.poll(() => counter.last?.heard ?? 0).toBeGreaterThan(50);
    const { instance } = counter.last ?? {};
    expect(instance).toContain("timed.v1");
    await deploy("timed", "v2");
    await expect.poll(() => counter.news, { timeout: 15_000 }).toEqual(["open", "moved", "reset", "open"]);
    // Whatever was said last, without a gap up to the move, and no more than that.
    const { givenBack = [], said = 0 } = counter.reset ?? {};
    expect(said).toBeGreaterThan(50);
    expect(givenBack).toEqual(givenBack.map((_, index) => String(said - givenBack.length + 1 + index)));
    await expect.poll(() => counter.said).toBeGreaterThan(50);
    await complete(counter);
    expect(counter.last).toMatchObject({ instance: expect.stringContaining("timed.v2"), afterReset: true });
  }, 60_000);

  test("an instance that is killed makes it a reset, on another instance", async () => {
    const counter = count("/timed", "killed");
    await expect.poll(() => counter.last?.heard ?? 0).toBeGreaterThan(50);
    await cluster.kill({ instance: counter.last?.instance ?? "" });
    await expect.poll(() => counter.news, { timeout: 15_000 }).toEqual(["open", "reset", "open"]);
    await expect.poll(() => counter.said).toBeGreaterThan(50);
    await complete(counter);
  }, 60_000);

  test("an operator's cut is the end: it does not come back", async () => {
    await deploy("plain", "v2");
    const counter = count("/plain", "a");
    await expect.poll(() => counter.last?.instance).toContain("plain.v2");
    await cluster.succeed("rollback", "plain", "--sessions", "cut", "--yes");
    await expect.poll(() => counter.news, { timeout: 15_000 }).toEqual(["open", "closed 1001"]);
  }, 60_000);
});

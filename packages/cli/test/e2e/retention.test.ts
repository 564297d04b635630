import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startCluster, type Cluster } from "@holdover/testkit/cluster";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";

/** How sessions end that are left, on real processes and with real clients. */

const APP = `
import { createServer } from "node:http";
import { WebSocketServer } from "ws";
const server = createServer((request, response) => response.end("ok"));
const sockets = new WebSocketServer({ server });
sockets.on("connection", (socket) => socket.send(process.env.HOLDOVER_INSTANCE));
server.listen(Number(process.env.PORT), process.env.HOST);
`;

const service = {
  command: ["node", "server.js"],
  session: {
    key: [{ query: "room" }],
    linger: "300ms",
    cutoverLinger: "50ms",
    label: { name: "kind", from: [{ query: "kind" }], values: ["support"] },
  },
  health: { path: "/" },
  disconnects: { atOnce: "50%", period: "200ms" },
};

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({
    services: {
      halved: {
        ...service,
        hosts: ["halved.test"],
        retention: { policy: "budget", disruptionBudget: "50%", floor: "0s", grace: "5s" },
      },
      rolled: { ...service, hosts: ["rolled.test"], instances: 2 },
      aged: { ...service, hosts: ["aged.test"], maxConnectionAge: "1s", connectionAgeGrace: "0s" },
      silent: {
        ...service,
        hosts: ["silent.test"],
        retention: { policy: "until-empty", floor: "0s", wedgedAfter: "1s", cutWedged: true },
      },
    },
  });
  const dir = join(cluster.directory, "build");
  await mkdir(dir);
  await writeFile(join(dir, "server.js"), APP);
  await writeFile(join(dir, "package.json"), `{ "type": "module" }`);
});

afterAll(() => cluster.stop());

const deploy = (name: string, release: string) =>
  cluster.succeed("deploy", name, "--release", release, "--dir", join(cluster.directory, "build"));

interface Client {
  readonly instance: string;
  readonly closed: Promise<number>;
  readonly socket: WebSocket;
}

async function open(name: string, room: string): Promise<Client> {
  const url = `${cluster.url.replace("http", "ws")}/?room=${room}&kind=support`;
  const socket = new WebSocket(url, { headers: { host: `${name}.test` } });
  const closed = new Promise<number>((resolve) => socket.once("close", resolve));
  const [message] = (await once(socket, "message")) as [Buffer];
  return { instance: message.toString(), closed, socket };
}

test("a budget lets the rest be moved as soon as no more than it is left, and no sooner", async () => {
  await deploy("halved", "v1");
  const rooms = await Promise.all(["a", "b", "c", "d"].map((room) => open("halved", room)));
  await deploy("halved", "v2");
  rooms[0]?.socket.close(1000);
  await cluster.until("three are left", ({ services }) => {
    const left = services.find(({ name }) => name === "halved")?.releases[0]?.sessions;
    return left && left.open + left.lingering === 3;
  });
  expect(rooms.slice(1).map(({ socket }) => socket.readyState)).toEqual([1, 1, 1]);
  rooms[1]?.socket.close(1000);
  expect(await Promise.all(rooms.slice(2).map(({ closed }) => closed))).toEqual([1012, 1012]);
  expect((await open("halved", "c")).instance).toMatch(/^halved\.v2-/);
});

test("a rolling restart moves what outlasts the wait to another instance of the same release", async () => {
  await deploy("rolled", "v1");
  const before = await Promise.all(["a", "b"].map((room) => open("rolled", room)));
  expect(new Set(before.map(({ instance }) => instance)).size).toBe(2);
  const plan = await cluster.json<{ batches: unknown[] }>("restart", "rolled", "--plan", "--wait", "300ms");
  expect(plan.batches).toHaveLength(2);
  await cluster.succeed("restart", "rolled", "--wait", "300ms", "--yes");
  expect(await Promise.all(before.map(({ closed }) => closed))).toEqual([1012, 1012]);
  const after = await open("rolled", "a");
  expect(after.instance).toMatch(/^rolled\.v1-[3-9]/);
  const refused = await cluster.run("restart", "rolled", "--wait", "0s", "--grace", "1ms", "--yes", "--json");
  expect([refused.code, refused.stdout]).toEqual([4, expect.stringContaining("RESTART_INFEASIBLE")]);
});

test("a connection that is too old is asked to connect again, and its session stays where it is", async () => {
  await deploy("aged", "v1");
  const first = await open("aged", "a");
  await deploy("aged", "v2");
  expect(await first.closed).toBe(1012);
  const again = await open("aged", "a");
  expect(again.instance).toBe(first.instance);
  again.socket.close();
});

test("a wedged session is cut where the policy says so, and one that answers pings or talks is not", async () => {
  await deploy("silent", "v1");
  const wedged = await open("silent", "quiet");
  const talking = await open("silent", "talks");
  const talk = setInterval(() => talking.socket.ping(), 100);
  try {
    await deploy("silent", "v2");
    expect(await wedged.closed).toBe(1001);
    expect(talking.socket.readyState).toBe(1);
    const sessions = await cluster.json<{ key: string; label: string }[]>("sessions", "silent");
    expect(sessions.map(({ key, label }) => [key, label])).toEqual([["talks", "support"]]);
  } finally {
    clearInterval(talk);
    talking.socket.close();
  }
});

test("forecast, plan and prepare say plainly what nobody knows yet", async () => {
  const forecast = await cluster.json<{ retires: null; lengths: { known: boolean } }>("forecast", "rolled", "v1");
  expect(forecast).toMatchObject({ retires: null, left: null, lengths: { known: false } });
  const plan = await cluster.json<{ oldLives: null }>("plan", "deploy", "rolled");
  expect(plan).toMatchObject({ release: "v1", cheapest: null, instances: 2 });
  const prepared = await cluster.json<{ release: object }>("prepare", "rolled", "--in", "10s");
  expect(prepared.release).toMatchObject({ lingerMs: 300, preparation: { lingerMs: 50 } });
  await cluster.succeed("prepare", "rolled", "--cancel");
  expect(await cluster.succeed("forecast", "rolled", "v1")).toContain("too few");
});

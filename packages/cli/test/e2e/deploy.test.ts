import { chmod, mkdir, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import { startCluster, type Cluster } from "@holdover/testkit/cluster";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { WebSocket } from "ws";

/** A service of a few lines: it says which release it is, keeps WebSockets open, and misbehaves when its file says so. */
const APP = `
import { createServer } from "node:http";
import { WebSocketServer } from "ws";
const server = createServer((request, response) => response.end(process.env.HOLDOVER_RELEASE));
const sockets = new WebSocketServer({ server });
sockets.on("connection", (socket) => socket.send(process.env.HOLDOVER_INSTANCE));
server.listen(Number(process.env.PORT), process.env.HOST);
`;

const BUILDS = {
  good: APP,
  exits: `console.error("no database at db.internal:5432"); process.exit(7);`,
  deaf: `import { createServer } from "node:http"; createServer((_, response) => response.end()).listen(0, "127.0.0.1"); console.log("listening, I think");`,
};

interface Release {
  readonly id: string;
  readonly state: string;
  readonly failure: { readonly code: string; readonly problem: string; readonly log: readonly string[] } | null;
}

interface Failure {
  readonly error: {
    readonly code: string;
    readonly what: string;
    readonly next: string;
    readonly log?: readonly string[];
  };
}

let cluster: Cluster;
const dirOf = (build: string): string => join(cluster.directory, "builds", build);

const service = {
  command: ["node", "server.js"],
  session: { key: [{ query: "room" }], linger: "300ms" },
  health: { path: "/", startTimeout: "2s" },
  disconnects: { atOnce: "100%" },
};

const services = {
  plain: { ...service, hosts: ["plain.test"] },
  gated: { ...service, hosts: ["gated.test"], gate: { command: ["./gate.sh"], timeout: "5s" } },
  timed: { ...service, hosts: ["timed.test"], retention: { policy: "fixed", window: "1s", grace: "5s" } },
  warm: { ...service, hosts: ["warm.test"], retention: { policy: "until-empty", floor: "1h" } },
};

type Name = keyof typeof services;

beforeAll(async () => {
  cluster = await startCluster({ services });
  for (const [build, source] of Object.entries(BUILDS)) await writeBuild(build, source);
});

afterAll(async () => {
  await cluster.stop();
});

async function writeBuild(build: string, source: string): Promise<void> {
  await mkdir(dirOf(build), { recursive: true });
  await writeFile(join(dirOf(build), "server.js"), source);
  await writeFile(join(dirOf(build), "package.json"), `{ "type": "module" }`);
  await writeFile(
    join(dirOf(build), "gate.sh"),
    `#!/bin/sh\n[ -f blocked ] && { echo "schema 12 is missing"; exit 1; }\ncurl -fsS "$HOLDOVER_URL" || exit 2\n`,
  );
  await chmod(join(dirOf(build), "gate.sh"), 0o755);
}

const deploy = (name: Name, release: string, build = "good", ...more: string[]) =>
  cluster.run("deploy", name, "--release", release, "--dir", dirOf(build), ...more);

async function get(name: Name, room: string): Promise<string> {
  const socket = await open(name, room);
  const { instance } = socket;
  socket.close();
  return instance.replace(/-\d+$/, "").replace(`${name}.`, "");
}

interface Opened {
  readonly instance: string;
  readonly closed: Promise<number>;
  close(): void;
}

async function open(name: Name, room: string): Promise<Opened> {
  const socket = new WebSocket(`${cluster.url.replace("http", "ws")}/?room=${room}`, {
    headers: { host: `${name}.test` },
  });
  const closed = new Promise<number>((resolve) => socket.once("close", (code) => resolve(code)));
  const [message] = (await once(socket, "message")) as [Buffer];
  return { instance: message.toString(), closed, close: () => socket.close() };
}

async function releases(name: Name): Promise<string[][]> {
  const { releases } = await cluster.api<{ releases: Release[] }>("GET", `/v1/services/${name}`);
  return releases.map(({ id, state }) => [id, state]);
}

const becomes = (name: Name, expected: string[][]): Promise<void> =>
  vi.waitFor(async () => expect(await releases(name)).toEqual(expected), { timeout: 15_000, interval: 100 });

describe("a deploy that cannot work changes nothing else", () => {
  beforeAll(async () => {
    await cluster.succeed("deploy", "plain", "--release", "v1", "--dir", dirOf("good"));
  });

  test("a command that exits at once: failed, with its exit code and the last lines of its log", async () => {
    const failed = await deploy("plain", "exits", "exits", "--json");
    expect(failed.code).toBe(1);
    const { error } = JSON.parse(failed.stdout) as Failure;
    expect(error.code).toBe("RELEASE_FAILED");
    expect(error.what).toMatch(/INSTANCE_EXITED: .*code 7/);
    expect(error.log?.join("\n")).toContain("no database at db.internal:5432");
    expect(await get("plain", "a")).toBe("v1");
  });

  test("an app that listens on the wrong port: failed, and told which port it listens on", async () => {
    const failed = await deploy("plain", "deaf", "deaf");
    expect(failed.code).toBe(1);
    expect(failed.stderr).toMatch(/listens on \d+/);
    expect(failed.stderr).toContain("INSTANCE_UNHEALTHY");
    expect(await get("plain", "a")).toBe("v1");
  });

  test.each([
    ["an unknown service", ["deploy", "nowhere", "--release", "v2", "--dir", "builds/good"], "SERVICE_UNKNOWN", 2],
    ["an unknown release", ["promote", "plain", "v9"], "RELEASE_UNKNOWN", 2],
    [
      "a directory that is not there",
      ["deploy", "plain", "--release", "v2", "--dir", "nowhere"],
      "DIRECTORY_MISSING",
      2,
    ],
    [
      "a directory without the command",
      ["deploy", "plain", "--release", "v2", "--dir", "builds"],
      "COMMAND_MISSING",
      2,
    ],
    ["a release id that is none", ["deploy", "plain", "--release", "v 2", "--dir", "builds/good"], "USAGE_INVALID", 2],
    ["a release that exists", ["deploy", "plain", "--release", "v1", "--dir", "builds/good"], "RELEASE_EXISTS", 4],
    ["retiring the current release", ["retire", "plain", "v1"], "RELEASE_IS_CURRENT", 4],
  ])("%s is refused by its code, what happened and what to do", async (_, args, code, exit) => {
    const refused = await cluster.run(...args, "--json");
    const { error } = JSON.parse(refused.stdout) as Failure;
    expect(error.code).toBe(code);
    expect(refused.code).toBe(exit);
    expect(error.what).not.toMatch(/[{}]/);
    expect(error.next).not.toMatch(/[{}]/);
    expect(await get("plain", "a")).toBe("v1");
  });

  test("two deploys at once: the second is refused with the first one's name", async () => {
    await writeBuild("slow", `setTimeout(() => {}, 10_000);`);
    const first = deploy("plain", "slow", "slow");
    await cluster.until("it is starting", (status) =>
      status.services.some((one) => one.name === "plain" && one.releases.some(({ id }) => id === "slow")),
    );
    const second = await deploy("plain", "v2");
    expect(second.code).toBe(4);
    expect(second.stderr).toContain("slow");
    expect(second.stderr).toContain("DEPLOY_IN_PROGRESS");
    expect((await first).code).toBe(1);
    expect((await deploy("plain", "v2")).code).toBe(0);
  });
});

describe("a gate", () => {
  test("that says no fails the release with its output; one that says yes lets it through, asked on a fresh instance", async () => {
    expect((await deploy("gated", "v1")).code).toBe(0);
    await writeBuild("blocked", APP);
    await writeFile(join(dirOf("blocked"), "blocked"), "");
    const failed = await deploy("gated", "v2", "blocked");
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain("GATE_FAILED");
    expect(failed.stderr).toContain("schema 12 is missing");
    expect(await releases("gated")).toEqual([
      ["v1", "current"],
      ["v2", "failed"],
    ]);
  });

  test("a failed release can be mended and deployed again under its id", async () => {
    expect((await deploy("gated", "v2")).code).toBe(0);
    expect(await get("gated", "new")).toBe("v2");
  });
});

describe("ramp, promote, rollback, retire", () => {
  const opened: Opened[] = [];

  beforeEach(() => {
    for (const socket of opened.splice(0)) socket.close();
  });

  const keep = async (room: string): Promise<Opened> => {
    const socket = await open("warm", room);
    opened.push(socket);
    return socket;
  };

  test("a ramp sends a stable share of new sessions and changes no pin; promote sends all", async () => {
    expect((await deploy("warm", "v1")).code).toBe(0);
    const before = await keep("before");
    expect((await deploy("warm", "v2", "good", "--ramp", "30")).code).toBe(0);
    const shareOf = async (rooms: string[]): Promise<string[]> => {
      const found: string[] = [];
      for (const room of rooms) if ((await get("warm", room)) === "v2") found.push(room);
      return found;
    };
    const rooms = Array.from({ length: 60 }, (_, index) => `ramp-${index}`);
    const ramped = await shareOf(rooms);
    expect(ramped.length).toBeGreaterThan(5);
    expect(ramped.length).toBeLessThan(35);
    expect((await cluster.run("ramp", "warm", "v2", "60")).code).toBe(0);
    expect(await shareOf(rooms)).toEqual(expect.arrayContaining(ramped));
    expect((await cluster.run("promote", "warm", "v2")).code).toBe(0);
    expect(await get("warm", "promoted")).toBe("v2");
    expect((await open("warm", "before")).instance).toBe(before.instance);
  });

  test("a rollback that cuts ends the sessions of the release it leaves with a Close frame, counted and audited", async () => {
    const onV2 = await keep("on-v2");
    expect(onV2.instance).toContain("warm.v2");
    const asked = await cluster.run("rollback", "warm", "--sessions", "cut");
    expect(asked.code).toBe(2);
    expect((await cluster.run("rollback", "warm", "--sessions", "cut", "--yes")).code).toBe(0);
    expect(await onV2.closed).toBe(1001);
    expect(await get("warm", "on-v2")).toBe("v1");
    await vi.waitFor(async () => {
      const { entries } = await cluster.api<{ entries: { kind: string; session?: string }[] }>(
        "GET",
        "/v1/audit?tail=500",
      );
      expect(entries.filter((entry) => entry.kind === "session.cut").map((entry) => entry.session)).toContain("on-v2");
    });
    await becomes("warm", [
      ["v1", "current"],
      ["v2", "retired"],
    ]);
  });

  test("a retired release is deployed again from its snapshot, without the build", async () => {
    expect((await cluster.run("deploy", "warm", "--release", "v2")).code).toBe(0);
    expect(await get("warm", "again")).toBe("v2");
  });

  test("an empty retained release is kept warm for its floor, and a rollback to it starts nothing", async () => {
    await becomes("warm", [
      ["v1", "retained"],
      ["v2", "current"],
    ]);
    const started = performance.now();
    const before = await cluster.instancePids();
    expect((await cluster.api<Release>("POST", "/v1/services/warm/rollback", {})).id).toBe("v1");
    expect(await get("warm", "back")).toBe("v1");
    expect([...before.keys()].filter((id) => id.startsWith("warm.v1"))).toHaveLength(1);
    expect(performance.now() - started).toBeLessThan(5000);
  });
});

describe("a fixed window", () => {
  test("when it is over, what is left is asked to move with 1012 and lands on the current release; nothing is cut", async () => {
    expect((await deploy("timed", "v1")).code).toBe(0);
    const old = await open("timed", "a");
    expect((await deploy("timed", "v2")).code).toBe(0);
    expect((await open("timed", "a")).instance).toBe(old.instance);
    expect(await old.closed).toBe(1012);
    expect(await get("timed", "a")).toBe("v2");
    await becomes("timed", [
      ["v1", "retired"],
      ["v2", "current"],
    ]);
    const { entries } = await cluster.api<{ entries: { kind: string }[] }>("GET", "/v1/audit?tail=1000");
    expect(entries.filter((entry) => entry.kind === "session.moved").length).toBeGreaterThan(0);
    expect((await cluster.run("audit", "verify")).code).toBe(0);
  });
});

describe("up", () => {
  const busy: Server[] = [];

  afterAll(() => {
    for (const server of busy) server.close();
  });

  test("on a port that is taken fails by name and leaves nothing behind", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    busy.push(server);
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const dir = join(cluster.directory, "second");
    await mkdir(dir, { recursive: true });
    await writeFile(
      join(dir, "holdover.yaml"),
      JSON.stringify({ listen: `127.0.0.1:${port}`, api: "127.0.0.1:0", services: { plain: service } }),
    );
    const failed = await cluster.run("--config", join(dir, "holdover.yaml"), "up");
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain(`127.0.0.1:${port}`);
    expect(failed.stderr).toContain("PORT_TAKEN");
  });

  test.each([
    ["host.db", "STORE_CORRUPT"],
    ["control.db", "STORE_CORRUPT"],
  ])("on a %s that is no database fails as %s and does not touch the file", async (file, code) => {
    const dir = join(cluster.directory, `corrupt-${file}`);
    await mkdir(join(dir, ".holdover"), { recursive: true });
    await writeFile(join(dir, ".holdover", file), "this is no database, and a long one at that. ".repeat(200));
    await writeFile(
      join(dir, "holdover.yaml"),
      JSON.stringify({ listen: "127.0.0.1:0", api: "127.0.0.1:0", services: { plain: service } }),
    );
    const failed = await cluster.run("--config", join(dir, "holdover.yaml"), "up", "--json");
    expect(failed.code).toBe(1);
    expect(failed.stdout).toContain(code);
  });
});

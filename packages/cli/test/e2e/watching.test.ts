import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { get, type IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import { REPOSITORY, startCluster, type Cluster } from "@holdover/testkit/cluster";
import { findProgram } from "@holdover/testkit/debian-program";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";

/** Metrics, logs and traces of a whole Holdover: real processes, and a service that tells what it was told. */

const promtool = await findProgram(
  { name: "promtool", names: ["promtool"], debianPackage: "prometheus", variable: "PROMTOOL" },
  "that Prometheus finds nothing to say about the metrics of a Holdover that runs",
);

const APP = `
import { createServer } from "node:http";
import { WebSocketServer } from "ws";
const server = createServer((request, response) => response.end(JSON.stringify(request.headers)));
const sockets = new WebSocketServer({ server });
sockets.on("connection", (socket, request) => socket.send(JSON.stringify(request.headers)));
server.listen(Number(process.env.PORT), process.env.HOST);
`;
const SDK = join(REPOSITORY, "packages", "router", "test", "otel-sdk.mjs");
const SPANS = join(tmpdir(), `holdover-spans-${process.pid}.jsonl`);
const [TRACE, CALLER] = ["5".repeat(32), "6".repeat(16)];
const PARENT = { traceparent: `00-${TRACE}-${CALLER}-01`, tracestate: "vendor=1" };

type Told = Readonly<Record<string, string | undefined>>;
type Line = Readonly<Record<string, unknown>>;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({
    services: {
      rooms: {
        command: ["node", "server.js"],
        session: { key: [{ query: "room" }], linger: "60s" },
        health: { path: "/" },
        path: "/app",
        retention: { policy: "budget", disruptionBudget: "50%", floor: "10m" },
      },
    },
    config: { accessLog: true },
    env: { NODE_OPTIONS: `--import ${pathToFileURL(SDK).href}`, OTEL_SPANS: SPANS },
  });
  const dir = join(cluster.directory, "build");
  await mkdir(dir);
  await writeFile(join(dir, "server.js"), APP);
  await writeFile(join(dir, "package.json"), `{ "type": "module" }`);
  await cluster.succeed("deploy", "rooms", "--release", "v1", "--dir", dir);
});
afterAll(async () => {
  await cluster.stop();
  await rm(SPANS, { force: true });
});

async function ask(room: string, headers: Record<string, string> = {}): Promise<{ told: Told; answer: Response }> {
  const answer = await fetch(`${cluster.url}/app?room=${room}`, { headers });
  return { told: (await answer.json()) as Told, answer };
}

async function openSocket(
  room: string,
  headers: Record<string, string> = {},
): Promise<{ told: Told; socket: WebSocket }> {
  const url = `${cluster.url.replace("http", "ws")}/app?room=${room}`;
  const socket = new WebSocket(url, { headers });
  const [message] = (await once(socket, "message")) as [Buffer];
  return { told: JSON.parse(message.toString()) as Told, socket };
}

async function linesOf(file: string): Promise<Line[]> {
  const written = existsSync(file) ? await readFile(file, "utf8") : "";
  return written
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Line);
}

const logOf = (name: "host" | "control") => linesOf(join(cluster.stateDir, "logs", `${name}.log`));

/** By the unix socket, which stays the same when control is started again. */
async function scrape(): Promise<string> {
  const [answer] = (await once(get({ socketPath: cluster.apiSocket, path: "/metrics" }), "response")) as [
    IncomingMessage,
  ];
  expect(answer.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
  return text(answer);
}

/** The value of one series. */
const valueIn = (scraped: string, series: string): number =>
  Number(
    scraped
      .split("\n")
      .find((line) => line.startsWith(`${series} `))
      ?.slice(series.length),
  );

describe("traces", () => {
  test.each([["HTTP"], ["WebSocket"]])(
    "the client's span, the host's and what the instance is told are one trace: %s",
    async (way) => {
      const room = `traced-by-${way}`;
      let told: Told;
      if (way === "HTTP") ({ told } = await ask(room, PARENT));
      else {
        const opened = await openSocket(room, PARENT);
        ({ told } = opened);
        opened.socket.close();
      }
      const [, traceId, spanId] = (told["traceparent"] ?? "").split("-");
      expect([traceId, told["tracestate"]]).toEqual([TRACE, "vendor=1"]);
      const spans = async () => (await linesOf(SPANS)).filter((span) => span["traceId"] === TRACE);
      await expect.poll(async () => (await spans()).some((span) => span["spanId"] === spanId)).toBe(true);
      const span = (await spans()).find((one) => one["spanId"] === spanId);
      const attributes = { "holdover.service": "rooms", "holdover.release": "v1", "holdover.placed": true };
      expect(span).toMatchObject({ name: "GET", parent: CALLER, pid: await cluster.hostPid(), attributes });
      const placing = (await spans()).filter(({ name, parent }) => name === "place session" && parent === spanId);
      expect(placing).toHaveLength(1);
      expect(JSON.stringify(await spans())).not.toContain(room);
    },
  );
});

describe("logs", () => {
  test("a request has one name: its client's, the instance's and the log's", async () => {
    const { told, answer } = await ask("secret-room", { "x-request-id": "call-17", cookie: "c=secret" });
    expect([told["holdover-request"], told["x-request-id"]]).toEqual(["call-17", "call-17"]);
    expect(answer.headers.get("holdover-request")).toBe("call-17");
    const line = await untilLine("host", ({ request }) => request === "call-17");
    expect(line).toMatchObject({
      level: 30,
      name: "host",
      msg: "answered",
      service: "rooms",
      release: "v1",
      session: expect.stringMatching(/^[0-9a-f]{12}$/),
      trace: expect.stringMatching(/^[0-9a-f]{32}$/),
      method: "GET",
      path: "/app",
      status: 200,
    });
    const again = await ask("secret-room");
    const next = await untilLine("host", ({ request }) => request === again.told["holdover-request"]);
    expect(next["session"]).toBe(line["session"]);
    expect(JSON.stringify(await logOf("host"))).not.toContain("secret");
  });

  test("what the router refuses is named to its client, and what was asked of control to whoever asked", async () => {
    const answer = await fetch(`${cluster.url}/elsewhere`);
    const request = answer.headers.get("holdover-request");
    expect(await untilLine("host", (line) => line["request"] === request)).toMatchObject({
      msg: "refused",
      code: "HOST_UNKNOWN",
    });
    await cluster.run("rollback", "rooms");
    expect(await untilLine("control", ({ msg }) => msg === "call")).toMatchObject({
      request: expect.stringMatching(/^[0-9a-f]{12}-/),
      service: "rooms",
    });
  });

  async function untilLine(log: "host" | "control", is: (line: Line) => boolean): Promise<Line> {
    await expect.poll(async () => (await logOf(log)).some(is)).toBe(true);
    return (await logOf(log)).find(is) as Line;
  }
});

describe("metrics", () => {
  test("count what clients did, and say nothing that docs/metrics.md does not", async () => {
    // A request that was refused is told of with the next that is not: once this one is, so is all that was before it.
    const earlier = await scrape();
    await ask("first");
    const placed = 'holdover_router_added_seconds_count{session="placed"}';
    await expect.poll(async () => valueIn(await scrape(), placed)).toBeGreaterThan(valueIn(earlier, placed));
    const before = await scrape();
    const { socket } = await openSocket("counted");
    await ask("counted");
    await ask("counted");
    const grownBy = async (series: string) => valueIn(await scrape(), series) - valueIn(before, series);
    await expect.poll(() => grownBy("holdover_router_placing_seconds_count")).toBe(1);
    await expect.poll(() => grownBy(placed)).toBe(1);
    await expect.poll(() => grownBy('holdover_router_added_seconds_count{session="known"}')).toBe(2);
    await expect.poll(() => grownBy("holdover_router_upgrades_total")).toBe(1);
    await expect.poll(() => grownBy("holdover_router_requests_total")).toBe(2);
    const scraped = await scrape();
    expect(valueIn(scraped, "holdover_sessions_limit")).toBe(1_000_000);
    expect(valueIn(scraped, "holdover_host_resident_memory_bytes")).toBeGreaterThan(1e7);
    expect(valueIn(scraped, "holdover_link_connects_total")).toBe(1);
    const page = await readFile(join(REPOSITORY, "docs", "metrics.md"), "utf8");
    const exposed = [...scraped.matchAll(/^# TYPE (holdover_\S+)/gm)].map(([, name = ""]) => name);
    expect(exposed.length).toBeGreaterThan(40);
    expect(exposed.filter((name) => !page.includes(`| \`${name}\` |`))).toEqual([]);
    socket.close();
  });

  test("tell of the old release's budget once there is one, and of the host while control is started again", async () => {
    const live = await Promise.all(["b1", "b2", "b3"].map((room) => openSocket(room)));
    await cluster.succeed("deploy", "rooms", "--release", "v2", "--dir", join(cluster.directory, "build"));
    const scraped = await scrape();
    const of = (name: string) => valueIn(scraped, `${name}{service="rooms",release="v1"}`);
    const left =
      valueIn(scraped, 'holdover_sessions{service="rooms",release="v1",state="open"}') +
      valueIn(scraped, 'holdover_sessions{service="rooms",release="v1",state="lingering"}');
    expect(of("holdover_release_budget_sessions")).toBe(Math.floor(left / 2));
    expect(of("holdover_release_over_budget_sessions")).toBe(left - Math.floor(left / 2));
    expect(of("holdover_release_retained_timestamp_seconds") * 1000).toBeGreaterThan(Date.now() - 60_000);
    expect(of("holdover_release_deadline_timestamp_seconds")).toBeGreaterThan(Date.now() / 1000);
    const requests = valueIn(scraped, "holdover_router_requests_total");
    await cluster.kill("control", "SIGKILL");
    await expect
      .poll(async () => valueIn(await scrape().catch(() => ""), "holdover_link_connects_total"), { timeout: 20_000 })
      .toBe(2);
    expect(valueIn(await scrape(), "holdover_router_requests_total")).toBe(requests);
    for (const { socket } of live) socket.close();
  });

  test.skipIf(promtool.path === null)("are as Prometheus wants them", async () => {
    const child = spawn(promtool.path ?? "", ["check", "metrics"], { stdio: ["pipe", "ignore", "pipe"] });
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (line: string) => (said += line));
    child.stdin.end(await scrape());
    const [code] = (await once(child, "close")) as [number];
    expect([code, said]).toEqual([0, ""]);
  });
});

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import type { MovedView, PreviewView, SignedInView } from "@holdover/control";
import type { AuditEntry } from "@holdover/core";
import { REPOSITORY, startCluster, type Cluster } from "@holdover/testkit/cluster";
import { MARKER } from "@holdover/testkit/cluster-processes";
import { joinRoom, type RoomClient } from "@holdover/testkit/room-client";
import { openLedger } from "@holdover/testkit/room-ledger";
import { afterEach, expect, test, vi } from "vitest";

/** What a person does who watches: signs in, follows, looks at what an action would do, and does it. */

const NODE = join(REPOSITORY, "node_modules", ".bin", "node");
const HOLDOVER = join(REPOSITORY, "packages", "cli", "bin", "holdover.js");

let cluster: Cluster;
let clients: RoomClient[] = [];
afterEach(async () => {
  for (const client of clients) client.destroy();
  clients = [];
  await cluster.stop();
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function start(): Promise<void> {
  const rooms = {
    dir: join(REPOSITORY, "examples", "rooms"),
    release: "v1",
    command: ["node", "server.js"],
    session: { key: [{ query: "room" }], linger: "30s" },
    health: { path: "/healthz" },
    retention: { policy: "until-empty", floor: "1h", grace: "20s" },
  };
  // A port of its own: control comes back there after it was killed.
  cluster = await startCluster({ services: { rooms }, config: { api: `127.0.0.1:${await freePort()}` } });
  await cluster.until("v1 is current", ({ services }) => services[0]?.current === "v1");
}

async function enter(room: string, name: string): Promise<RoomClient> {
  const client = await joinRoom({ url: cluster.url, name, ledger: openLedger(room) });
  clients.push(client);
  return client;
}

/** As the page does it. */
async function signIn(link: string): Promise<Response> {
  const { origin, hash } = new URL(link);
  const body = JSON.stringify({ code: hash.slice("#code=".length) });
  return fetch(`${origin}/v1/sign-in`, { method: "POST", headers: { "content-type": "application/json" }, body });
}

async function signedIn(): Promise<SignedInView> {
  const { url } = await cluster.json<{ url: string }>("dashboard");
  const answer = await signIn(url);
  expect(answer.status).toBe(200);
  return (await answer.json()) as SignedInView;
}

interface Heard {
  readonly ids: number[];
  readonly entries: AuditEntry[];
  statuses: number;
  /** Resolves when the stream has ended, however it did. */
  readonly over: Promise<void>;
}

/** Follows the events with the token, from an entry on. */
async function follow(token: string, lastId: number | null): Promise<Heard> {
  const headers = { authorization: `Bearer ${token}`, ...(lastId !== null && { "last-event-id": String(lastId) }) };
  const answer = await fetch(`${cluster.apiUrl}/v1/events?status=true`, { headers });
  expect(answer.status).toBe(200);
  const ids: number[] = [];
  const entries: AuditEntry[] = [];
  const read = async (): Promise<void> => {
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of answer.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      const blocks = text.split("\n\n");
      text = blocks.pop() ?? "";
      for (const block of blocks) {
        if (block.startsWith("event: status\n")) heard.statuses += 1;
        const [, id, data] = /^id: (\d+)\nevent: audit\ndata: (.*)$/.exec(block) ?? [];
        if (id === undefined || data === undefined) continue;
        ids.push(Number(id));
        entries.push(JSON.parse(data) as AuditEntry);
      }
    }
  };
  const heard: Heard = {
    ids,
    entries,
    statuses: 0,
    over: Promise.resolve()
      .then(read)
      .catch(() => {}),
  };
  return heard;
}

test("the page is served where the API is, and a link of the command line lets a browser in, once", async () => {
  await start();
  const page = await fetch(cluster.apiUrl);
  expect([page.status, page.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
  expect(page.headers.get("content-security-policy")).toContain("default-src 'none'; script-src 'self'");
  const html = await page.text();
  const assets = [...html.matchAll(/(?:src|href)="\.\/(assets\/[^"]+)"/g)].map(([, path]) => path);
  expect(assets.length).toBeGreaterThanOrEqual(2);
  for (const path of assets) expect((await fetch(`${cluster.apiUrl}/${path}`)).status).toBe(200);

  const { url } = await cluster.json<{ url: string }>("dashboard");
  expect(url.startsWith(`${cluster.apiUrl}/#code=`)).toBe(true);
  const answer = await signIn(url);
  const { token, role } = (await answer.json()) as SignedInView;
  expect([answer.status, role]).toEqual([200, "admin"]);
  expect((await signIn(url)).status).toBe(401);
  const status = await fetch(`${cluster.apiUrl}/v1/status`, { headers: { authorization: `Bearer ${token}` } });
  expect(status.status).toBe(200);
  // Nothing that was written down by `up`, which is no terminal here, lets anybody in.
  const output = cluster.output().join("\n");
  expect(output).toContain("npx holdover dashboard");
  expect(output).not.toContain("#code=");
});

test("up shows a link where it runs in a terminal", async () => {
  await start();
  await cluster.succeed("down", "--now");
  const words = [NODE, HOLDOVER, "up"].map((word) => `'${word}'`).join(" ");
  const env = { ...process.env, [MARKER]: cluster.directory };
  const terminal = spawn("script", ["-qefc", words, "/dev/null"], {
    cwd: cluster.directory,
    env,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(terminal, "exit");
  let shown = "";
  terminal.stdout.setEncoding("utf8");
  const link = await new Promise<string>((resolve, reject) => {
    terminal.stdout.on("data", (text: string) => {
      shown += text;
      const [found] = /http:\/\/\S+#code=[\w-]{43}\b/.exec(shown) ?? [];
      if (found !== undefined) resolve(found);
    });
    terminal.once("exit", () => reject(new Error(`up has ended: ${shown}`)));
  });
  expect(shown.split("\r\n")[2]).toMatch(
    /^ {2}dashboard http:.*works once, for 10 minutes; another: npx holdover dashboard$/,
  );
  expect((await signIn(link)).status).toBe(200);
  await cluster.succeed("down", "--now");
  await ended;
});

test("who follows goes on without a gap when control was killed, and stays signed in", async () => {
  await start();
  const { token } = await signedIn();
  const first = await follow(token, 0);
  await cluster.succeed("deploy", "rooms", "--release", "v2", "--dir", join(REPOSITORY, "examples", "rooms-v2"));
  await vi.waitFor(() =>
    expect(first.entries.map(({ kind, release }) => `${kind} ${release}`)).toContain("release.current v2"),
  );
  expect(first.statuses).toBeGreaterThan(0);

  await cluster.kill("control");
  await first.over;
  await cluster.until("control is back", ({ router }) => router.linked);
  await cluster.succeed("rollback", "rooms");
  const second = await follow(token, first.ids.at(-1) ?? 0);
  await vi.waitFor(() => {
    expect(second.entries.map(({ kind, release }) => `${kind} ${release}`)).toContain("release.rolled-back v1");
    expect(second.statuses).toBeGreaterThan(0);
  });
  const ids = [...first.ids, ...second.ids];
  expect(ids).toEqual(ids.map((_, index) => index + 1));
  // Its token is taken back, and with it what it hears.
  const out = await fetch(`${cluster.apiUrl}/v1/sign-out`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
  });
  expect(await out.json()).toEqual({ revoked: true });
  await second.over;
});

test("what an action would do is what it does: the sessions that it would end are asked for by name, one is moved alone", async () => {
  await start();
  await enter("lobby", "ada");
  await enter("lobby", "grace");
  await enter("garden", "kurt");
  await cluster.succeed("deploy", "rooms", "--release", "v2", "--dir", join(REPOSITORY, "examples", "rooms-v2"));
  const counted = (rooms: number) =>
    cluster.until(`v1 has ${rooms} rooms`, ({ services }) =>
      services[0]?.releases.some(
        ({ id, state, sessions }) => id === "v1" && state === "retained" && sessions?.open === rooms,
      ),
    );
  await counted(2);
  const preview = (body: object) => cluster.api<PreviewView>("POST", "/v1/services/rooms/preview", body);

  expect(await preview({ action: "retire", release: "v1" })).toMatchObject({
    problem: null,
    moves: 2,
    cuts: 2,
    confirm: "v1",
    effects: [
      "2 sessions on v1 are asked to move to v2 within 20s; those left then are cut.",
      "There is no rollback to v1 any more.",
    ],
  });
  expect(await preview({ action: "retire", release: "v2" })).toMatchObject({ problem: { code: "RELEASE_IS_CURRENT" } });
  expect(await preview({ action: "rollback" })).toMatchObject({ release: "v1", cuts: 0, confirm: null });
  expect(await preview({ action: "move", key: "nobody" })).toMatchObject({ problem: { code: "SESSION_NOT_LIVE" } });
  const move = await preview({ action: "move", key: "lobby" });
  expect(move).toMatchObject({ release: "v1", moves: 1, cuts: 0, confirm: null });
  expect(move.effects[0]).toBe("Its 2 connections are asked to come back, and placed anew on v2.");

  const moved = await cluster.json<MovedView>("sessions", "move", "lobby");
  expect(moved).toMatchObject({ release: "v1", connections: 2, to: "v2", job: false });
  const [ada, grace, kurt] = clients;
  await vi.waitFor(() => {
    for (const client of [ada, grace]) expect(client?.welcomes.map(({ release }) => release)).toEqual(["v1", "v2"]);
  });
  expect(kurt?.welcomes.map(({ release }) => release)).toEqual(["v1"]);
  await counted(1);
  const { entries } = await cluster.api<{ entries: AuditEntry[] }>("GET", "/v1/audit?tail=50");
  const told = entries.filter(({ session }) => session === "lobby");
  expect(told.map(({ kind, actor }) => [kind, actor.split(":")[0]])).toEqual([
    ["session.moving", "operator"],
    ["session.moved", "router"],
  ]);
});

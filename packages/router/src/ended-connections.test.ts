import { once } from "node:events";
import { createServer, get, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { RoutedInstance, RoutedRelease, RoutedService } from "@holdover/core";
import { ManualClock } from "@holdover/testkit/manual-clock";
import { MemoryPinStore } from "@holdover/testkit/memory-pin-store";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { instance, release, service } from "../test/sessions-fixture.ts";
import { noWorkers } from "../test/no-workers.ts";
import { createRouter, type Router } from "./router.ts";

/** A router as it is, with real clients and instances, whose clock alone stands still until a test moves it. */

const AGE = { maxMs: 60_000, graceMs: 30_000 };

let clock: ManualClock;
let router: Router;
let port: number;
let number = 0;
let instances: RoutedInstance[];
const endings: (() => unknown)[] = [];

beforeEach(async () => {
  clock = new ManualClock();
  router = await createRouter({
    pins: new MemoryPinStore(),
    tableCache: { save: () => {}, load: () => undefined },
    clock,
    limits: { sessions: 1000, headBytes: 16_384, headTimeoutMs: 10_000 },
    trustForwarded: false,
    accessLog: false,
    secret: Buffer.alloc(32, 7),
    look: () => Promise.resolve(),
    workers: noWorkers(),
    changed: () => {},
    log: () => {},
  });
  endings.push(() => router.close());
  ({ port } = await router.listen("127.0.0.1", 0));
  instances = [await startInstance("v1-1"), await startInstance("v1-2")];
});
afterEach(async () => {
  for (const end of endings.splice(0).toReversed()) await end();
});

/** It says its name to everybody: in a message, or in an event of a stream that goes on. */
async function startInstance(id: string): Promise<RoutedInstance> {
  const server = createServer((_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(`data: ${id}\n\n`);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => {
    socket.send(id);
    // Many messages follow one another, so that a Close in the middle of one would be seen.
    socket.on("message", (data) => {
      for (let n = 0; n < 50; n++) socket.send(Buffer.alloc(10_000, n));
      socket.send(data, { binary: false });
    });
  });
  endings.push(() => {
    for (const client of sockets.clients) client.terminate();
    sockets.close();
    server.closeAllConnections();
    server.close();
  });
  return instance(id, null, { port: (server.address() as AddressInfo).port });
}

function apply(releases: Partial<RoutedRelease>, more: Partial<RoutedService> = {}, listed = instances): void {
  number += 1;
  const v1 = release("v1", "new", { instances: listed, lingerMs: 600_000, ...releases });
  const disconnects = { atOnce: 0.25, periodMs: 1000 };
  router.apply({
    number,
    services: [service([v1, release("v2", "existing", { instances: [] })], { disconnects, ...more })],
  });
}

interface Client {
  readonly socket: WebSocket;
  readonly instance: string;
  readonly closed: Promise<{ code: number; reason: string }>;
  /** When it was closed; null: it is open. */
  closedAtMs: number | null;
}

async function join(room: string): Promise<Client> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/?room=${room}`);
  endings.push(() => socket.terminate());
  const closed = once(socket, "close").then(([code, reason]) => ({ code: code as number, reason: String(reason) }));
  const [name] = (await once(socket, "message")) as [Buffer];
  const client: Client = { socket, instance: name.toString(), closed, closedAtMs: null };
  void closed.then(() => (client.closedAtMs = clock.now()));
  return client;
}

/** Time goes on in small steps, and what it does to sockets happens before it goes on. */
async function pass(ms: number): Promise<void> {
  for (let at = 0; at < ms; at += 100) {
    await clock.advance(100);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Those told to close have left, at the router as well. */
async function settledAt(connections: number): Promise<void> {
  await vi.waitFor(() => expect(router.openCount()).toBe(connections));
}

describe("of age", () => {
  test("a WebSocket is closed with 1012 between two frames, and its client comes back to its instance", async () => {
    apply({}, { connectionAge: AGE, disconnects: { atOnce: 1, periodMs: 1000 } });
    const client = await join("a");
    const messages: number[] = [];
    client.socket.on("message", (data: Buffer) => messages.push(data.length));
    // It talks all the time, so it is only closed when its grace is over.
    let talking = true;
    client.socket.on("message", (_, binary) => {
      if (!binary && talking && client.socket.readyState === WebSocket.OPEN) client.socket.send("go on");
    });
    client.socket.send("go on");
    await pass(AGE.maxMs * 0.9);
    expect(client.closedAtMs).toBeNull();
    await pass(AGE.maxMs * 0.2 + AGE.graceMs + 2000);
    talking = false;
    expect(await client.closed).toEqual({ code: 1012, reason: "connection too old, connect again; retry=0" });
    expect(messages.length).toBeGreaterThan(50);
    expect(new Set(messages)).toEqual(new Set([10_000, "go on".length]));
    await settledAt(0);
    expect((await join("a")).instance).toBe(client.instance);
    const [session] = (await router.sessions({ limit: 2 })).sessions;
    expect(session).toMatchObject({ key: "a", state: "open", instance: client.instance, fence: 1 });
  });

  test("a stream of events is ended as if it were complete, and its session waits for it", async () => {
    apply({}, { connectionAge: AGE });
    const asked = get({ host: "127.0.0.1", port, path: "/?room=a", agent: false });
    const [answer] = (await once(asked, "response")) as [IncomingMessage];
    let heard = "";
    answer.on("data", (chunk: Buffer) => (heard += chunk.toString()));
    const ended = once(answer, "end");
    await vi.waitFor(() => expect(heard).toMatch(/^data: v1-\d\n\n$/));
    await pass(AGE.maxMs * 1.1 + 3000);
    await ended;
    expect(answer.complete).toBe(true);
    await settledAt(0);
    expect((await router.sessions({ limit: 2 })).sessions).toMatchObject([
      { key: "a", state: "lingering", instance: heard.slice(6, 10) },
    ]);
  });

  test("never more are closed at once than the cap allows, as their clients see it", async () => {
    apply({}, { connectionAge: { ...AGE, maxMs: 5000 } });
    const clients = await Promise.all(Array.from({ length: 16 }, (_, n) => join(`${n}`)));
    await pass(5500 + 2000);
    while (clients.some(({ closedAtMs }) => closedAtMs === null)) await pass(1000);
    const at = clients.map(({ closedAtMs }) => closedAtMs ?? 0).toSorted((a, b) => a - b);
    // The router told them at a tick of 100 ms, and they heard of it within another.
    for (const time of at)
      expect(at.filter((other) => other >= time && other < time + 800).length).toBeLessThanOrEqual(4);
    for (const { closed } of clients) expect((await closed).code).toBe(1012);
  });
});

test("sessions on an instance that is replaced are moved with 1012, and come back on its replacement", async () => {
  apply({});
  const clients = await Promise.all(Array.from({ length: 8 }, (_, n) => join(`${n}`)));
  const there = clients.filter(({ instance }) => instance === "v1-1");
  expect(there).toHaveLength(4);
  const [first, second] = instances as [RoutedInstance, RoutedInstance];
  const leaving: RoutedInstance = { ...first, admission: "existing", ending: "moved" };
  // The other one is full, so that there is only the new one to go to.
  apply({}, {}, [leaving, { ...second, capacity: 4 }, await startInstance("v1-3")]);
  await pass(5000);
  for (const { closed } of there) expect((await closed).code).toBe(1012);
  expect(clients.filter(({ closedAtMs }) => closedAtMs === null)).toHaveLength(4);
  await settledAt(4);
  for (const [at] of there.entries())
    expect((await join(`${clients.indexOf(there[at] as Client)}`)).instance).toBe("v1-3");
  expect(router.release("v1-1")).toEqual({ released: true });
});

test("a session of a retained release on which nothing is sent is shown, and cut when that is told; a ping keeps it", async () => {
  apply({});
  const quiet = await join("quiet");
  const pinging = await join("pinging");
  const retain = (cut: boolean) => apply({ admission: "existing", wedged: { afterMs: 10_000, cut } });
  const wedged = async () => {
    const { sessions } = await router.sessions({ limit: 10 });
    return sessions.flatMap(({ key, wedgedSinceMs }) => (wedgedSinceMs === null ? [] : [key]));
  };
  retain(false);
  for (let at = 0; at < 12; at++) {
    pinging.socket.ping();
    await once(pinging.socket, "pong");
    await pass(1000);
  }
  expect(await wedged()).toEqual(["quiet"]);
  expect(quiet.closedAtMs).toBeNull();
  retain(true);
  await pass(300);
  expect(await quiet.closed).toEqual({ code: 1001, reason: "session cut" });
  expect(pinging.closedAtMs).toBeNull();
});

test("a session has the label of its first request", async () => {
  apply({}, { label: { from: [{ query: "kind" }], values: ["support"] } });
  await join("a&kind=support");
  await join("a&kind=advisory");
  await join("b&kind=advisory");
  await join("&kind=support");
  const labels = (await router.sessions({ limit: 10 })).sessions.map(({ key, label }) => [key.slice(0, 1), label]);
  expect(new Map(labels as [string, string | null][])).toEqual(
    new Map([
      ["a", "support"],
      ["b", null],
      ["~", "support"],
    ]),
  );
});

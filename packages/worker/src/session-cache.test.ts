import { once } from "node:events";
import { createConnection, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { OwnSession } from "./joined-session.ts";
import { SessionCache } from "./session-cache.ts";
import { memoryStateLink } from "./state-link.ts";
import { States } from "./states.ts";

let server: Server;
let forgotten: string[];
let cache: SessionCache;
const sockets: Socket[] = [];
const states = new States({ service: "rooms", link: memoryStateLink() });

beforeEach(async () => {
  server = createServer((socket) => void sockets.push(socket)).listen(0, "127.0.0.1");
  await once(server, "listening");
  forgotten = [];
  cache = new SessionCache(({ key, fence }) => forgotten.push(`${key} ${fence}`));
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(async () => {
  vi.useRealTimers();
  cache.close();
  for (const socket of sockets.splice(0)) socket.destroy();
  server.close();
  await once(server, "close");
});

async function connection(): Promise<Socket> {
  const socket = createConnection((server.address() as AddressInfo).port, "127.0.0.1");
  sockets.push(socket);
  await once(socket, "connect");
  return socket;
}

const get = (key: string, fence = 1): OwnSession =>
  cache.get(
    key,
    fence,
    () => new OwnSession({ key, fence, label: null, state: states.of({ key, fence }), call: null }),
  );

const MINUTE = 60_000;

describe("what a process remembers of its sessions", () => {
  test("is one object for each, while it is connected and a minute after that", async () => {
    const session = get("a");
    const socket = await connection();
    cache.use(session, socket);
    vi.advanceTimersByTime(10 * MINUTE);
    expect(get("a")).toBe(session);
    socket.destroy();
    await once(socket, "close");
    vi.advanceTimersByTime(MINUTE - 1);
    expect(get("a")).toBe(session);
    vi.advanceTimersByTime(1);
    expect([cache.size, forgotten]).toEqual([0, ["a 1"]]);
  });

  test("does not grow with the sessions that one connection serves, one after the other", async () => {
    const socket = await connection();
    const listeners = socket.listenerCount("close");
    for (let n = 0; n < 1000; n++) cache.use(get(`k${n}`), socket);
    expect(socket.listenerCount("close")).toBe(listeners + 1);
    vi.advanceTimersByTime(MINUTE);
    expect([cache.size, forgotten.length]).toEqual([1, 999]);
    cache.use(get("again"), socket);
    vi.advanceTimersByTime(MINUTE);
    expect([cache.size, forgotten.at(-1)]).toEqual([1, "k999 1"]);
    socket.destroy();
    await once(socket, "close");
    vi.advanceTimersByTime(MINUTE);
    expect(cache.size).toBe(0);
  });

  test("is kept while it is held, and not longer than it is this process's own", async () => {
    get("opened").opened();
    const leave = await get("attached").attach();
    get("moved").opened();
    get("lost").opened();
    cache.ending("moved", 1, "moved");
    cache.ending("lost", 1, "lost");
    cache.ending("opened", 2, "cut");
    expect(cache.held().map(({ key }) => key)).toEqual(["opened", "attached", "moved"]);
    vi.advanceTimersByTime(5 * MINUTE);
    expect(cache.held().map(({ key }) => key)).toEqual(["opened", "attached", "moved"]);
    await get("moved").end();
    await leave();
    await get("opened").end();
    vi.advanceTimersByTime(MINUTE);
    expect(cache.size).toBe(0);
  });

  test("under a higher fence is another one, and the one before is lost; a lower one changes nothing", async () => {
    const socket = await connection();
    const old = get("a", 1);
    cache.use(old, socket);
    const now = get("a", 2);
    expect([old.signal.reason, now.signal.aborted, forgotten]).toEqual(["lost", false, ["a 1"]]);
    expect(get("a", 1)).not.toBe(old);
    expect(get("a", 2)).toBe(now);
    cache.use(now, await connection());
    socket.destroy();
    await once(socket, "close");
    vi.advanceTimersByTime(10 * MINUTE);
    expect(get("a", 2)).toBe(now);
  });
});

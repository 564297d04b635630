import { spawn, type ChildProcess } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { defineSessionFormat } from "@holdover/core";
import { joinHoldover, type Holdover, type JoinOptions, type ReleaseView } from "@holdover/worker";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { at, routed, WorkerWorld } from "./worker-world.ts";

const turn = defineSessionFormat({ name: "turn", version: 1, schema: z.number() });
const blob = defineSessionFormat({ name: "blob", version: 1, schema: z.string() });
const ID = "rooms.v1-1";

let world: WorkerWorld;
let warned: string[];
const joined: Holdover[] = [];

beforeEach(async () => {
  world = new WorkerWorld();
  warned = [];
  await world.open();
});
afterEach(async () => {
  for (const holdover of joined.splice(0)) await holdover.close();
  await world.close();
});

async function joinAs(instance: string, options: Partial<JoinOptions> = {}, release = "v1"): Promise<Holdover> {
  const env = await world.start(instance, { service: "rooms", release });
  const holdover = await joinHoldover({ env, signals: false, warn: (text) => warned.push(text), ...options });
  joined.push(holdover);
  return holdover;
}

/** A worker, in a table that lists it. */
async function joinListed(options: Partial<JoinOptions> = {}): Promise<Holdover> {
  const holdover = await joinAs(ID, options);
  world.apply(routed("v1", "new", [at(ID)]));
  await vi.waitFor(() => expect(holdover.admission).toBe("new"));
  return holdover;
}

const abortedWith = async (signal: AbortSignal): Promise<unknown> => {
  if (!signal.aborted) await once(signal, "abort");
  return signal.reason;
};

describe("a worker that joins", () => {
  test("knows what it is, and follows what the table says of its release", async () => {
    const holdover = await joinAs(ID);
    expect(holdover.member).toEqual({ service: "rooms", release: "v1", instance: ID });
    const seen: ReleaseView[] = [];
    holdover.onRelease((view) => seen.push(view));
    world.apply(routed("v1", "new", [at(ID)]));
    await vi.waitFor(() => expect(seen).toEqual([{ admission: "new", deadlineMs: null }]));
    world.apply({ ...routed("v1", "existing", [at(ID)]), deadlineMs: 1_900_000_000_000 });
    await vi.waitFor(() => expect(holdover.deadlineMs).toBe(1_900_000_000_000));
    expect(holdover.admission).toBe("existing");
    world.apply(routed("v1", "new", [at(ID, 9, { admission: "existing" })]));
    await vi.waitFor(() => expect(holdover.deadlineMs).toBeNull());
    expect(holdover.admission).toBe("existing");
    world.apply(routed("v1", "new", [at("rooms.v1-2")]));
    await vi.waitFor(() => expect(holdover.admission).toBe("none"));
    expect(warned).toEqual([]);
  });

  test("with a token that was used is told why, and is not asked to wait", async () => {
    const env = await world.start(ID);
    const first = await joinHoldover({ env, signals: false });
    joined.push(first);
    await expect(joinHoldover({ env, signals: false, warn: () => {} })).rejects.toMatchObject({
      code: "MEMBER_REJECTED",
      details: { reason: "token" },
    });
  });

  test("while control is away waits for it, and is in soon after it is back", async () => {
    world.isControlAway = true;
    const env = await world.start(ID);
    const joining = joinHoldover({ env, signals: false, warn: (text) => warned.push(text) });
    await vi.waitFor(() => expect(world.count("worker.message.refused")).toBeGreaterThan(1));
    world.isControlAway = false;
    joined.push(await joining);
    expect(world.count("worker.joined")).toBe(1);
  });

  test("renews its certificate when half of its time is over, and goes on", async () => {
    world.controlLateMs = 40 * 60_000;
    const env = await world.start(ID);
    const joining = joinHoldover({ env, signals: false, warn: (text) => warned.push(text) });
    const serial = (): number => world.authority.show().lastSerial;
    const holdover = await joining;
    joined.push(holdover);
    world.controlLateMs = 0;
    await vi.waitFor(() => expect(serial()).toBe(2), { timeout: 15_000 });
    world.apply(routed("v1", "new", [at(ID)]));
    await holdover.open({ key: "a" });
    expect(await world.session("a")).toMatchObject({ instance: ID });
  });
});

describe("a session of a worker", () => {
  test("that it opens is held until it is ended, and its checkpoint goes with it", async () => {
    const holdover = await joinListed();
    const session = await holdover.open({ key: "a", label: "gold" });
    expect(session).toMatchObject({ key: "a", label: "gold" });
    await session.state.write(turn, 7);
    expect(await world.session("a")).toMatchObject({
      fence: session.fence,
      state: "open",
      instance: ID,
      label: "gold",
    });
    expect(await world.host.checkpoints.read("rooms", "a")).toMatchObject({ fence: session.fence });
    expect(await holdover.open({ key: "a" })).toBe(session);
    await session.end();
    await vi.waitFor(async () => expect(await world.session("a")).toBeUndefined());
    expect(await world.host.checkpoints.read("rooms", "a")).toBeUndefined();
    await expect(session.end()).rejects.toMatchObject({ code: "SESSION_NOT_HELD" });
    expect((await holdover.open({ key: "a" })).fence).toBeGreaterThan(session.fence);
  });

  test("of a request is the same object each time; attached, it does not linger", async () => {
    const holdover = await joinListed();
    const opened = await holdover.open({ key: "räum" });
    const headers = { "holdover-session": encodeURIComponent("räum"), "holdover-fence": String(opened.fence) };
    const session = holdover.sessionOf({ headers });
    expect(session).toBe(opened);
    expect(holdover.sessionOf({ headers: {} })).toBeNull();
    const leave = await session?.attach();
    await opened.end();
    await vi.waitFor(async () => expect(await world.session("räum")).toBeUndefined());
    await leave?.();
  });

  test("that is asked to move goes on until it is ended, and is a new one after that", async () => {
    const holdover = await joinListed();
    const second = await joinAs("rooms.v2-1", {}, "v2");
    const session = await holdover.open({ key: "a" });
    world.apply({ ...routed("v1", "existing", [at(ID)]), ending: "moved" }, routed("v2", "new", [at("rooms.v2-1")]));
    expect(await abortedWith(session.signal)).toBe("moved");
    await session.state.write(turn, 41);
    await expect(second.open({ key: "a" })).rejects.toMatchObject({ code: "NO_INSTANCE" });
    expect(await session.state.read(turn)).toBe(41);
    await session.end();
    const next = await second.open({ key: "a" });
    expect(next.fence).toBeGreaterThan(session.fence);
    expect(await next.state.read(turn)).toBeUndefined();
    await expect(session.state.write(turn, 1)).rejects.toMatchObject({ code: "CHECKPOINT_STALE" });
  });

  test("that was cut says so, and is not claimed again", async () => {
    const holdover = await joinListed();
    const session = await holdover.open({ key: "a" });
    world.apply({ ...routed("v1", "none", [at(ID)]), ending: "cut" });
    expect(await abortedWith(session.signal)).toBe("cut");
    world.router.workers.linked("rooms")[0]?.link?.close();
    await vi.waitFor(() => expect(world.count("worker.joined")).toBe(2));
    expect(world.logged.findLast(({ event }) => event === "worker.joined")).toMatchObject({ sessions: 0, lost: 0 });
  });

  test("under a key or with a state that cannot be is refused at once, with its reason", async () => {
    const holdover = await joinListed();
    await expect(holdover.open({ key: "k".repeat(257) })).rejects.toMatchObject({ code: "LINK_MESSAGE_INVALID" });
    const session = await holdover.open({ key: "a" });
    const big = "x".repeat(250 * 1024);
    // All at once: more than a line of the link holds.
    const writes = Array.from({ length: 16 }, (_, n) => session.state.write(blob, big, { name: `b${n}` }));
    for (const result of await Promise.allSettled(writes)) {
      expect(result).toMatchObject({ status: "rejected", reason: { code: "CHECKPOINT_TOO_LARGE" } });
    }
    await session.state.write(turn, 1);
    expect(await session.state.read(turn)).toBe(1);
    expect(world.count("worker.joined")).toBe(1);
  });
});

test("a host that goes and comes back: what was asked meanwhile is done, and no session has noticed", async () => {
  const holdover = await joinListed();
  const session = await holdover.open({ key: "a" });
  await session.state.write(turn, 1);
  const gone = await holdover.open({ key: "gone" });
  await world.stopHost();
  const waiting = [session.state.write(turn, 2), holdover.open({ key: "b" }), session.attach(), gone.end()] as const;
  await world.startHost();
  await Promise.all(waiting);
  expect(await session.state.read(turn)).toBe(2);
  expect(await world.session("a")).toMatchObject({ fence: session.fence, state: "open", connections: 1 });
  expect(await world.session("b")).toMatchObject({ state: "open", connections: 1 });
  await vi.waitFor(async () => expect(await world.session("gone")).toBeUndefined());
  expect(session.signal.aborted).toBe(false);
  await session.end();
  await vi.waitFor(async () => expect(await world.session("a")).toBeUndefined());
});

test("a session whose end was heard when the link broke, and is said once more, is over: that is no failure", async () => {
  const holdover = await joinListed();
  const session = await holdover.open({ key: "a" });
  // It is done, and the answer is not given yet: the link breaks.
  world.changed = () => {
    if (world.router.counts().size > 0) return;
    world.router.workers.linked("rooms")[0]?.link?.close();
    world.changed = () => {};
  };
  await session.end();
  expect(await world.session("a")).toBeUndefined();
  expect(world.count("worker.joined")).toBe(2);
  expect(world.logged.findLast(({ event }) => event === "worker.joined")).toMatchObject({ sessions: 1, lost: 1 });
});

describe("a drain", () => {
  const probe = async (holdover: Holdover, path: string): Promise<number> => {
    const server = createServer((request, response) => void holdover.probe(request, response));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const { status } = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: "close" } });
    server.close();
    await once(server, "close");
    return status;
  };

  test("fails readiness and passes liveness, and both pass before the table lists the instance", async () => {
    const holdover = await joinAs(ID, { ready: false });
    world.apply(routed("v1", "new", [at("rooms.v1-2")]));
    expect([await probe(holdover, "/livez"), await probe(holdover, "/readyz")]).toEqual([200, 503]);
    await holdover.ready(true);
    expect([await probe(holdover, "/livez"), await probe(holdover, "/readyz")]).toEqual([200, 200]);
    world.apply(routed("v1", "new", [at(ID)]));
    await vi.waitFor(() => expect(holdover.admission).toBe("new"));
    await holdover.open({ key: "a" });
    await holdover.beginDrain();
    expect([await probe(holdover, "/livez"), await probe(holdover, "/readyz")]).toEqual([200, 503]);
    await holdover.cancelDrain();
    expect(await probe(holdover, "/readyz?verbose")).toBe(200);
    world.apply(routed("v1", "existing", [at(ID)]));
    await vi.waitFor(() => expect(holdover.admission).toBe("existing"));
    expect(await probe(holdover, "/readyz")).toBe(200);
  });

  test("takes nothing new, and is over when the last session is", async () => {
    const holdover = await joinListed();
    const session = await holdover.open({ key: "a" });
    let isOver = false;
    void holdover.drained.then(() => (isOver = true));
    await Promise.all([holdover.beginDrain(), holdover.beginDrain()]);
    expect([holdover.draining, holdover.admission]).toEqual([true, "existing"]);
    await expect(holdover.open({ key: "b" })).rejects.toMatchObject({ code: "NO_INSTANCE" });
    expect(isOver).toBe(false);
    await session.end();
    await holdover.drained;
    expect(world.router.release(ID).released).toBe(true);
  });

  test("that is called off while it is asked whether it is over is off, however the two race", async () => {
    const holdover = await joinListed();
    let isOver = false;
    void holdover.drained.then(() => (isOver = true));
    for (let round = 0; round < 20; round++) {
      const begun = holdover.beginDrain();
      if (round % 2 === 0) await begun;
      await Promise.all([begun, holdover.cancelDrain()]);
      const session = await holdover.open({ key: `a${round}` });
      await session.end();
    }
    expect([isOver, holdover.draining]).toEqual([false, false]);
    await holdover.beginDrain();
    await holdover.drained;
  });

  test("that begins while the host is away is in force when it is back, and comes to its end", async () => {
    const holdover = await joinListed();
    await world.stopHost();
    const begun = holdover.beginDrain();
    await world.startHost();
    await begun;
    await holdover.drained;
    expect(world.count("worker.joined")).toBe(2);
  });
});

describe("a process", () => {
  interface Process {
    readonly child: ChildProcess;
    readonly said: string[];
    tell(line: string): void;
    until(line: string): Promise<void>;
    readonly code: Promise<number | null>;
  }

  async function startProcess(): Promise<Process> {
    const env = await world.start(ID);
    world.apply(routed("v1", "new", [at(ID)]));
    const child = spawn(process.execPath, [join(import.meta.dirname, "worker-child.ts")], {
      env: { ...process.env, ...env },
      stdio: ["pipe", "pipe", "inherit"],
    });
    const said: string[] = [];
    const news = new EventEmitter();
    createInterface({ input: child.stdout }).on("line", (line) => {
      said.push(line);
      news.emit("line");
    });
    const until = async (line: string): Promise<void> => {
      while (!said.includes(line)) await once(news, "line");
    };
    await until("joined");
    return {
      child,
      said,
      tell: (line) => child.stdin.write(`${line}\n`),
      until,
      code: once(child, "close").then(([code]) => code as number | null),
    };
  }

  test("that is asked to end drains, goes on with its sessions, and ends by itself with 0 after the last", async () => {
    const one = await startProcess();
    for (const key of ["a", "b"]) {
      one.tell(`open ${key}`);
      await one.until(`done open ${key}`);
    }
    one.child.kill("SIGTERM");
    await vi.waitFor(() => expect(world.router.table().services[0]?.releases).toHaveLength(1));
    await one.until("heard");
    one.tell("end a");
    await one.until("done end a");
    expect(one.child.exitCode).toBeNull();
    expect(await world.session("b")).toMatchObject({ state: "open" });
    one.tell("end b");
    expect(await one.code).toBe(0);
    expect(world.forced).toEqual([]);
  });

  test("that is asked a second time ends with 1, and tells how many sessions that has cut", async () => {
    const one = await startProcess();
    for (const key of ["a", "b", "c"]) {
      one.tell(`open ${key}`);
      await one.until(`done open ${key}`);
    }
    one.child.kill("SIGTERM");
    await one.until("heard");
    one.child.kill("SIGTERM");
    expect(await one.code).toBe(1);
    expect(world.forced).toEqual([{ instance: ID, cut: 3, reason: "a second SIGTERM" }]);
  });
});

test("the package is lean: no database, no server and no client of another system comes along", async () => {
  const program = `
    import { registerHooks } from "node:module";
    const loaded = [];
    registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });
    await import("@holdover/worker");
    process.stdout.write(JSON.stringify(loaded));`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "inherit"],
    cwd: import.meta.dirname,
  });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  await once(child, "close");
  const loaded = JSON.parse(text) as string[];
  const packages = new Set(
    loaded.map(
      (url) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? /packages\/([^/]+)/.exec(url)?.[1] ?? url,
    ),
  );
  expect([...packages].filter((name) => !name.startsWith("node:")).toSorted()).toEqual(["core", "worker", "zod"]);
  const builtins = [...packages].filter((name) => name.startsWith("node:"));
  expect(builtins.filter((name) => /sqlite|child_process|worker_threads|cluster/.test(name))).toEqual([]);
});

describe("outside of Holdover", () => {
  test("a process says so once, and has sessions, state and a drain all the same", async () => {
    const server = createServer((_, response) => response.end("served"));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const alone = await joinHoldover({ env: {}, server, signals: false, warn: (text) => warned.push(text) });
    expect(warned).toEqual([expect.stringContaining("was not started by Holdover")]);
    expect([alone.member, alone.admission, alone.draining, alone.deadlineMs]).toEqual([null, "new", false, null]);
    const forged = { headers: { "holdover-session": "a", "holdover-fence": "7" } };
    expect(alone.sessionOf(forged)).toBeNull();
    const session = alone.sessionOf(forged, "room-1");
    expect(session).toMatchObject({ key: "room-1", fence: 1 });
    expect(alone.sessionOf(forged, "room-1")).toBe(session);
    await session?.state.write(turn, 3);
    expect(await session?.state.read(turn)).toBe(3);
    const leave = await session?.attach();
    await leave?.();
    const opened = await alone.open({ label: "gold" });
    expect(opened.label).toBe("gold");
    await opened.end();
    const seen: string[] = [];
    alone.onRelease(({ admission }) => seen.push(admission));
    await alone.ready(true);
    await alone.forced(1, "told to nobody");
    await alone.beginDrain();
    await alone.drained;
    expect([server.listening, alone.draining, alone.admission, seen]).toEqual([false, true, "existing", ["new"]]);
    expect(warned).toHaveLength(1);
  });
});

import type { WorkerCall } from "@holdover/core";
import { settled } from "@holdover/testkit/manual-clock";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newKey, type RawWorker } from "../../test/raw-worker.ts";
import { connect, instance, release } from "../../test/sessions-fixture.ts";
import { WorkersWorld } from "../../test/workers-world.ts";

let world: WorkersWorld;
beforeEach(async () => {
  world = new WorkersWorld();
  await world.open();
  world.apply(release("v1", "new"));
});
afterEach(() => world.close());

async function open(worker: RawWorker, key: string): Promise<number> {
  return ((await worker.call({ name: "open", key, label: null })) as { fence: number }).fence;
}

const entry = (text: string) => [{ name: "n", format: "f", version: 1, base64: Buffer.from(text).toString("base64") }];
const write = (key: string, fence: number, text: string): WorkerCall => ({
  name: "state-write",
  key,
  fence,
  entries: entry(text),
});

async function read(worker: RawWorker, key: string, fence: number): Promise<string | null> {
  const found = (await worker.call({ name: "state-open", key, fence })) as { entries: { base64: string }[] } | null;
  return found && Buffer.from(found.entries[0]?.base64 ?? "", "base64").toString();
}

/** The endings that a worker was told, in order. */
const endings = (worker: RawWorker): string[] =>
  worker.asked.flatMap((call) => (call.name === "ending" ? [`${call.key} ${call.fence} ${call.how}`] : []));

describe("a session that a worker opens", () => {
  test("lives on its instance and is held until it is ended", async () => {
    const worker = await world.join("v1-1");
    const fence = await open(worker, "a");
    await world.clock.advance(60_000);
    expect([world.at("a"), world.stateOf("a")]).toEqual(["v1-1", "open"]);
    await worker.call({ name: "end", key: "a", fence, how: "hangup" });
    await settled();
    expect(await world.ends()).toEqual(["a hangup"]);
    expect(world.sessions.openCount()).toBe(0);
  });

  test("asked for twice is the same one", async () => {
    const worker = await world.join("v1-1");
    const asked = await Promise.all([open(worker, "a"), open(worker, "a"), open(worker, "a")]);
    expect(new Set([...asked, await open(worker, "a")]).size).toBe(1);
    expect(world.sessions.openCount()).toBe(1);
  });

  test("that lives elsewhere is not opened, nor on an instance of a release that takes none", async () => {
    const [first, second] = [await world.join("v1-1"), await world.join("v1-2")];
    await open(first, "a");
    await expect(open(second, "a")).rejects.toThrow("NO_INSTANCE");
    world.apply(release("v1", "existing"), release("v2", "new"));
    await expect(open(first, "b")).rejects.toThrow("NO_INSTANCE");
    expect(world.at("b")).toBeNull();
  });

  test("of an instance that was revoked is refused and told; what runs there is left alone", async () => {
    const worker = await world.join("v1-1");
    const fence = await open(worker, "a");
    world.trust = { ...world.trust, epoch: 2, revoked: ["v1-1", "v1-2"] };
    world.apply(release("v1", "new"));
    await expect(open(worker, "b")).rejects.toThrow("MEMBER_REJECTED");
    expect(world.rejected).toEqual([{ instance: "v1-1", reason: "revoked" }]);
    await worker.call({ name: "draining", draining: false });
    await expect(connect(world.sessions, "c")).rejects.toThrow("no instance that takes");
    expect(await read(worker, "a", fence)).toBeNull();
    await worker.call(write("a", fence, "still"));
    expect(await read(worker, "a", fence)).toBe("still");
  });

  test("ends as cut where its worker says so, and its other connections are closed as fast as the cap allows", async () => {
    const worker = await world.join("v1-1");
    const fence = await open(worker, "a");
    const clients = await Promise.all(Array.from({ length: 30 }, () => connect(world.sessions, "a")));
    const others = await Promise.all(Array.from({ length: 30 }, (_, n) => connect(world.sessions, `b${n}`)));
    await worker.call({ name: "end", key: "a", fence, how: "cut" });
    await world.clock.advance(100);
    const closed = clients.filter(({ told }) => told.length > 0).length;
    expect(closed).toBeGreaterThan(0);
    expect(closed).toBeLessThan(10);
    await world.clock.advance(30_000);
    expect(clients.map(({ told }) => told)).toEqual(clients.map(() => ["cut"]));
    expect(others.filter(({ told }) => told.length > 0)).toEqual([]);
    expect(await world.ends()).toEqual(["a cut"]);
    expect(endings(worker)).toEqual([]);
  });
});

describe("a session that a worker attaches to", () => {
  test("does not linger while it is held, and does not end when it is left", async () => {
    const client = await connect(world.sessions, "a");
    const worker = await world.join(client.hold.instance);
    const { fence } = client.hold;
    await worker.call({ name: "attach", key: "a", fence });
    await worker.call({ name: "attach", key: "a", fence });
    client.hold.done();
    await world.clock.advance(60_000);
    expect(world.stateOf("a")).toBe("open");
    await worker.call({ name: "leave", key: "a", fence });
    expect(world.stateOf("a")).toBe("lingering");
    await worker.call({ name: "leave", key: "a", fence });
    expect(await world.ends()).toEqual([]);
  });

  test("is over when it is ended, once its last connection has gone", async () => {
    const client = await connect(world.sessions, "a");
    const worker = await world.join(client.hold.instance);
    await worker.call({ name: "end", key: "a", fence: client.hold.fence, how: "hangup" });
    expect(world.stateOf("a")).toBe("open");
    client.hold.done();
    await settled();
    expect(await world.ends()).toEqual(["a hangup"]);
  });

  test.each<[string, (fence: number) => WorkerCall, string | null]>([
    ["attach", (fence) => ({ name: "attach", key: "a", fence }), "SESSION_NOT_HELD"],
    ["end", (fence) => ({ name: "end", key: "a", fence, how: "hangup" }), "SESSION_NOT_HELD"],
    ["cut", (fence) => ({ name: "end", key: "a", fence, how: "cut" }), "SESSION_NOT_HELD"],
    ["leave", (fence) => ({ name: "leave", key: "a", fence }), null],
    ["state-open", (fence) => ({ name: "state-open", key: "a", fence }), "CHECKPOINT_STALE"],
    ["state-write", (fence) => write("a", fence, "forged"), "CHECKPOINT_STALE"],
  ])(
    "under a wrong fence, from another instance, or under a key that nobody has: %s changes nothing",
    async (_, call, code) => {
      const owner = await world.join("v1-1");
      const other = await world.join("v1-2");
      const fence = await open(owner, "a");
      await read(owner, "a", fence);
      await owner.call(write("a", fence, "kept"));
      for (const [worker, wrong] of [
        [owner, fence + 1],
        [owner, fence + 1000],
        [other, fence],
      ] as const) {
        expect((await worker.ask(call(wrong))).error?.code ?? null).toBe(code);
      }
      expect((await owner.ask({ ...call(1), key: "nobody" } as WorkerCall)).error?.code ?? null).toBe(code);
      expect([world.at("a"), world.stateOf("a")]).toEqual(["v1-1", "open"]);
      expect(await read(owner, "a", fence)).toBe("kept");
      expect(await world.ends()).toEqual([]);
    },
  );
});

describe("a link that breaks", () => {
  test("and comes back keeps its sessions, and those that it names no more are left", async () => {
    const worker = await world.join("v1-1");
    const [a, b] = [await open(worker, "a"), await open(worker, "b")];
    await world.break(worker);
    await world.clock.advance(29_000);
    expect([world.stateOf("a"), world.stateOf("b")]).toEqual(["open", "open"]);
    const next = await world.again(worker, { sessions: [{ key: "a", fence: a, endsWith: true }] });
    await settled();
    expect(await world.ends()).toEqual(["b hangup"]);
    await world.clock.advance(60_000);
    expect(world.stateOf("a")).toBe("open");
    await next.call({ name: "end", key: "a", fence: a, how: "hangup" });
    await settled();
    expect((await world.ends()).toSorted()).toEqual(["a hangup", "b hangup"]);
    expect(b).toBeGreaterThan(a);
  });

  test("is replaced by the next one at once, where the host has not seen it break", async () => {
    const worker = await world.join("v1-1");
    const fence = await open(worker, "a");
    const next = await world.again(worker, { sessions: [{ key: "a", fence, endsWith: true }] });
    await worker.closed;
    await world.clock.advance(60_000);
    expect(world.stateOf("a")).toBe("open");
    expect(await open(next, "a")).toBe(fence);
  });

  test("and stays away for 30 s: its sessions wait for whoever comes, with what they keep", async () => {
    world.apply(release("v1", "new", { lingerMs: 20_000 }));
    const worker = await world.join("v1-1");
    const fence = await open(worker, "a");
    await read(worker, "a", fence);
    await worker.call(write("a", fence, "kept"));
    await world.break(worker);
    await world.clock.advance(29_999);
    expect(world.stateOf("a")).toBe("open");
    await world.clock.advance(1);
    expect([world.stateOf("a"), world.at("a")]).toEqual(["lingering", "v1-1"]);
    // It was away for long, and is back: it holds its session again.
    const back = await world.again(worker, { sessions: [{ key: "a", fence, endsWith: true }] });
    expect(world.stateOf("a")).toBe("open");
    expect(await read(back, "a", fence)).toBe("kept");
    await world.break(back);
    await world.clock.advance(30_000 + 20_200);
    expect(await world.ends()).toEqual(["a expired"]);
  });

  test("and a claim to sessions that were never its own: they are lost, whatever it names", async () => {
    const [first, second] = [await world.join("v1-1"), await world.join("v1-2")];
    const fence = await open(first, "a");
    await world.break(second);
    const next = world.dial(second.identity);
    const claimed = [
      { key: "a", fence, endsWith: true },
      { key: "b", fence: 7, endsWith: true },
    ];
    const { lost } = await next.join({ sessions: claimed });
    expect(lost).toEqual([
      { key: "a", fence },
      { key: "b", fence: 7 },
    ]);
    expect(world.at("a")).toBe("v1-1");
  });
});

describe("an instance that is lost", () => {
  test("loses its worker's sessions: each is disrupted, keeps its state, and is placed anew under a higher fence", async () => {
    const worker = await world.join("v1-1");
    const fence = await open(worker, "a");
    await read(worker, "a", fence);
    await worker.call(write("a", fence, "kept"));
    await world.lose("v1-1");
    await worker.closed;
    const events = (await world.pins.events(100)).map(({ kind }) => kind);
    expect(events).toEqual(["disrupted"]);
    expect(world.sessions.openCount()).toBe(0);
    const client = await connect(world.sessions, "a");
    expect(client.hold.instance).toBe("v1-2");
    expect(client.hold.fence).toBeGreaterThan(fence);
    const owner = await world.join("v1-2");
    expect(await read(owner, "a", client.hold.fence)).toBe("kept");
  });

  test("is heard of by its worker, where that one lives on: what it holds is lost, and its writes are refused", async () => {
    const worker = await world.join("v1-1");
    const fence = await open(worker, "a");
    await read(worker, "a", fence);
    // The table lists it no more: control takes it for dead.
    world.apply(release("v1", "new", { instances: [instance("v1-2")] }));
    await worker.next("call");
    expect(endings(worker)).toEqual([`a ${fence} lost`]);
    expect((await worker.ask(write("a", fence, "too late"))).error?.code).toBe("CHECKPOINT_STALE");
    expect(world.sessions.openCount()).toBe(0);
  });
});

describe("a session that is moved", () => {
  const moveAll = (): void => world.apply(release("v1", "existing", { ending: "moved" }), release("v2", "new"));

  test("goes on at its worker, which is told, until that leaves it", async () => {
    const worker = await world.join("v1-1");
    const fence = await open(worker, "a");
    moveAll();
    await world.clock.advance(60_000);
    expect(endings(worker)).toEqual([`a ${fence} moved`]);
    expect(world.sessions.release("v1-1")).toEqual({ released: false, sessions: 1 });
    expect(await read(worker, "a", fence)).toBeNull();
    await worker.call(write("a", fence, "still its own"));
    await worker.call({ name: "end", key: "a", fence, how: "hangup" });
    expect(world.sessions.release("v1-1").released).toBe(true);
    expect(await world.ends()).toEqual(["a hangup"]);
  });

  test("by word is told to its worker alone, and goes on there until that leaves it; others hear nothing", async () => {
    const worker = await world.join("v1-1");
    const [fence] = [await open(worker, "a"), await open(worker, "b")];
    world.apply(release("v1", "existing"), release("v2", "new"));
    expect(world.sessions.move({ service: "rooms", key: "a", fence })).toMatchObject({ job: true, instance: "v1-1" });
    await world.clock.advance(60_000);
    expect(endings(worker)).toEqual([`a ${fence} moved`]);
    expect(await read(worker, "a", fence)).toBeNull();
    await worker.call(write("a", fence, "still its own"));
    await worker.call({ name: "end", key: "a", fence, how: "hangup" });
    expect(await world.ends()).toEqual(["a hangup"]);
  });

  test("is cut at the end of the grace where its worker does not leave it", async () => {
    const worker = await world.join("v1-1");
    const fence = await open(worker, "a");
    moveAll();
    await world.clock.advance(100);
    world.apply(release("v1", "existing", { ending: "cut" }), release("v2", "new"));
    await world.clock.advance(100);
    expect(await world.ends()).toEqual(["a cut"]);
    expect(world.sessions.release("v1-1")).toEqual({ released: false, sessions: 0 });
    await world.clock.advance(5000);
    expect(endings(worker)).toEqual([`a ${fence} moved`, `a ${fence} cut`]);
    expect(world.sessions.release("v1-1").released).toBe(true);
  });

  test("has its last write stored, until its next owner claims it", async () => {
    const first = await connect(world.sessions, "a");
    const { fence } = first.hold;
    const worker = await world.join(first.hold.instance);
    moveAll();
    await world.clock.advance(100);
    first.hold.done();
    // Written for the first time, now that it has to go.
    expect(await read(worker, "a", fence)).toBeNull();
    await worker.call(write("a", fence, "as it left"));
    expect(await world.ends()).toEqual(["a moved"]);
    const client = await connect(world.sessions, "a");
    expect(client.hold.release).toBe("v2");
    await worker.call(write("a", fence, "the very last"));
    // Under the fence of whoever has it now it writes nothing.
    const forged = await worker.ask(write("a", client.hold.fence, "forged"));
    expect(forged.error?.code).toBe("CHECKPOINT_STALE");
    const owner = await world.join(client.hold.instance);
    expect(await read(owner, "a", client.hold.fence)).toBe("the very last");
    expect((await worker.ask(write("a", fence, "too late"))).error?.code).toBe("CHECKPOINT_STALE");
    expect((await worker.ask({ name: "state-open", key: "a", fence })).error?.code).toBe("CHECKPOINT_STALE");
    expect((await worker.ask({ name: "attach", key: "a", fence })).error?.code).toBe("SESSION_NOT_HELD");
    // Each of them is counted, and what was in its time is not.
    expect(world.server.staleCalls()).toEqual({ claim: 1, write: 2, attach: 1 });
    expect(await read(owner, "a", client.hold.fence)).toBe("the very last");
  });

  test("keeps nothing for its last instance once a minute is over", async () => {
    const client = await connect(world.sessions, "a");
    const { fence } = client.hold;
    const worker = await world.join(client.hold.instance);
    await read(worker, "a", fence);
    moveAll();
    await world.clock.advance(100 + 59_000);
    await worker.call(write("a", fence, "in time"));
    await world.clock.advance(1200);
    expect((await worker.ask(write("a", fence, "too late"))).error?.code).toBe("CHECKPOINT_STALE");
  });

  test("while the link was broken is told with the next one", async () => {
    const worker = await world.join("v1-1");
    const fence = await open(worker, "a");
    await world.break(worker);
    moveAll();
    await world.clock.advance(100);
    const next = world.dial(worker.identity);
    const { lost } = await next.join({ sessions: [{ key: "a", fence, endsWith: true }] });
    expect(lost).toEqual([]);
    await next.next("call");
    expect(endings(next)).toEqual([`a ${fence} moved`]);
  });

  test("and let go of while the link was broken is lost to its worker", async () => {
    const worker = await world.join("v1-1");
    const fence = await open(worker, "a");
    moveAll();
    await world.clock.advance(100);
    await world.break(worker);
    await world.clock.advance(31_000);
    const next = world.dial(worker.identity);
    expect((await next.join({ sessions: [{ key: "a", fence, endsWith: true }] })).lost).toEqual([{ key: "a", fence }]);
  });

  test("is the same when it is opened again where it still is", async () => {
    world.apply(release("v1", "new", { instances: [instance("v1-1", null, { ending: "moved" }), instance("v1-2")] }));
    const worker = await world.join("v1-1");
    const fence = await open(worker, "a").catch(() => 0);
    expect(fence).toBeGreaterThan(0);
    await world.clock.advance(100);
    await worker.next("call");
    world.apply(release("v1", "new"));
    const again = await open(worker, "a");
    expect(again).toBe(fence);
    await world.clock.advance(60_000);
    expect(world.stateOf("a")).toBe("open");
    expect(endings(worker)).toEqual([`a ${fence} moved`]);
  });
});

test("a session that is cut is told to its worker, and is let go 5 s later; it keeps nothing", async () => {
  const worker = await world.join("v1-1");
  const fence = await open(worker, "a");
  await read(worker, "a", fence);
  world.apply(release("v1", "none", { ending: "cut" }), release("v2", "new"));
  await world.clock.advance(100);
  await worker.next("call");
  expect(endings(worker)).toEqual([`a ${fence} cut`]);
  expect((await worker.ask(write("a", fence, "too late"))).error?.code).toBe("CHECKPOINT_STALE");
  await world.clock.advance(4800);
  expect(world.sessions.release("v1-1").released).toBe(false);
  await world.clock.advance(200);
  expect(world.sessions.release("v1-1").released).toBe(true);
});

describe("a worker that drains", () => {
  test("has nothing placed on it from the answer on, and what is there goes on", async () => {
    const worker = await world.join("v1-1");
    const fence = await open(worker, "a");
    await worker.call({ name: "draining", draining: true });
    for (let n = 0; n < 10; n++) expect((await connect(world.sessions, `b${n}`)).hold.instance).toBe("v1-2");
    expect((await connect(world.sessions, "a")).hold.fence).toBe(fence);
    await expect(open(worker, "c")).rejects.toThrow("NO_INSTANCE");
    await worker.call({ name: "draining", draining: false });
    expect((await connect(world.sessions, "d")).hold.instance).toBe("v1-1");
  });

  test("is free when its last session has gone; called off, it has sessions again", async () => {
    const worker = await world.join("v1-1");
    const fence = await open(worker, "a");
    expect(await worker.call({ name: "release" })).toEqual({ released: false, sessions: 0 });
    await worker.call({ name: "draining", draining: true });
    expect(await worker.call({ name: "release" })).toEqual({ released: false, sessions: 1 });
    await worker.call({ name: "end", key: "a", fence, how: "hangup" });
    await settled();
    expect(await worker.call({ name: "release" })).toEqual({ released: true });
    expect((await connect(world.sessions, "b")).hold.instance).toBe("v1-2");
    await worker.call({ name: "draining", draining: false });
    expect((await connect(world.sessions, "c")).hold.instance).toBe("v1-1");
  });

  test("before the table lists it drains when it does, over a link that came back too", async () => {
    world.running.set("v1-3", { service: "rooms", release: "v1" });
    const worker = await world.join("v1-3", { draining: true });
    world.apply(release("v1", "new", { instances: [instance("v1-1")] }));
    world.apply(release("v1", "new", { instances: [instance("v1-1", 1), instance("v1-3")] }));
    expect((await connect(world.sessions, "a")).hold.instance).toBe("v1-1");
    await expect(connect(world.sessions, "b")).rejects.toThrow("no instance that takes");
    await world.break(worker);
    const next = await world.again(worker, { draining: true });
    await expect(connect(world.sessions, "b")).rejects.toThrow("no instance that takes");
    await next.call({ name: "draining", draining: false });
    expect((await connect(world.sessions, "b")).hold.instance).toBe("v1-3");
  });
});

describe("a certificate", () => {
  test("that runs out takes nothing from what runs, lets nothing new in, and does again once it is renewed", async () => {
    const worker = await world.join("v1-1");
    const fence = await open(worker, "a");
    await world.clock.advance(3_600_000);
    expect(world.count("worker.expired")).toBe(1);
    await expect(open(worker, "b")).rejects.toThrow("NO_INSTANCE");
    // Its own word does not help it.
    await worker.call({ name: "draining", draining: false });
    await expect(open(worker, "b")).rejects.toThrow("NO_INSTANCE");
    expect(world.stateOf("a")).toBe("open");
    const { certificate } = worker.identity;
    const next = await worker.call({ name: "renew", certificate: certificate ?? { body: "", signatures: [] } });
    expect(next).not.toEqual(certificate);
    expect(await open(worker, "b")).toBeGreaterThan(fence);
  }, 60_000);

  test("of another service, another key or another signer renews nothing, is told, and the session runs on", async () => {
    const worker = await world.join("v1-1");
    const fence = await open(worker, "a");
    const { publicKey } = worker.identity.key;
    const forged = [
      world.certificateFor("v1-1", publicKey, { service: "calls" }),
      world.certificateFor("v1-1", newKey().publicKey),
      { ...world.certificateFor("v1-1", publicKey), signatures: [{ key: newKey().publicKey, signature: "x" }] },
    ];
    for (const certificate of forged) {
      expect((await worker.ask({ name: "renew", certificate })).error?.code).toBe("MEMBER_REJECTED");
    }
    expect(world.rejected.map(({ reason }) => reason)).toEqual(["other-service", "certificate", "certificate"]);
    await worker.call({ name: "attach", key: "a", fence });
    expect(world.stateOf("a")).toBe("open");
  });
});

test("a drain is told for the audit log when it begins and when it is called off, once each", async () => {
  const worker = await world.join("v1-1");
  for (const draining of [true, true, false, false]) await worker.call({ name: "draining", draining });
  expect(world.drains).toEqual(["started", "cancelled"]);
});

test("what a worker tells for the audit log arrives: an end by force, a table that it did not follow", async () => {
  const worker = await world.join("v1-1");
  await worker.call({ name: "forced", cut: 3, reason: "a second SIGTERM" });
  await worker.call({ name: "table-refused", problem: "it is of epoch 1" });
  expect(world.forced).toEqual([{ cut: 3, reason: "a second SIGTERM" }]);
  expect(world.rejected).toEqual([{ instance: "v1-1", reason: "table" }]);
});

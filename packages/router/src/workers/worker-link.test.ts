import { stat } from "node:fs/promises";
import { WORKER_CALLS, WORKER_LINE_BYTES, type WorkerCall } from "@holdover/core";
import { settled } from "@holdover/testkit/manual-clock";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { release } from "../../test/sessions-fixture.ts";
import { WorkersWorld } from "../../test/workers-world.ts";

let world: WorkersWorld;
beforeEach(async () => {
  world = new WorkersWorld();
  await world.open();
  world.apply(release("v1", "new"));
});
afterEach(() => world.close());

const RELEASE: WorkerCall = { name: "release" };

describe("a worker link", () => {
  test("is a socket that this user alone can reach", async () => {
    expect((await stat(world.socketPath)).mode & 0o777).toBe(0o600);
  });

  test("welcomes a worker with its certificate, the table and the formats of others", async () => {
    const worker = world.dial(world.identity("v1-1"));
    const welcome = await worker.join({ formats: [{ name: "room", version: 2, oldest: 1, lowest: 1 }] });
    expect(welcome).toMatchObject({ service: "rooms", release: "v1", lost: [] });
    expect(welcome.certificate).not.toBeNull();
    expect((await worker.next("table")).table).toEqual(world.membership.table);
    expect((await worker.next("older-versions")).versions).toEqual({ room: [] });
    expect(world.server.state("v1-1")).toBe("ready");
  });

  test("tells a worker of the older versions that other releases read, when they come and when they go", async () => {
    world.apply(release("v1", "existing"), release("v2", "new"));
    const room = (version: number) => ({ formats: [{ name: "room", version, oldest: 1, lowest: 1 }] });
    const young = await world.join("v2-1", room(3));
    await young.next("older-versions", ({ versions }) => versions["room"]?.length === 0);
    const old = await world.join("v1-1", room(2));
    expect((await young.next("older-versions")).versions).toEqual({ room: [2] });
    await world.break(old);
    expect((await young.next("older-versions")).versions).toEqual({ room: [] });
  });
});

describe("is refused with a code, and the link survives:", () => {
  test("a second hello", async () => {
    const worker = await world.join("v1-1");
    worker.send(await worker.helloTo({ type: "challenge", protocol: 1, nonce: "n".repeat(32), host: "host-1" }));
    expect(await worker.next("refused")).toMatchObject({ final: false, error: { code: "LINK_MESSAGE_INVALID" } });
    expect(await worker.call(RELEASE)).toEqual({ released: false, sessions: 0 });
  });

  test("a call before the hello; the hello after it is welcome", async () => {
    const worker = world.dial(world.identity("v1-1"));
    worker.send({ type: "call", id: 1, call: RELEASE });
    expect(await worker.next("refused")).toMatchObject({ final: false, error: { code: "LINK_MESSAGE_INVALID" } });
    await worker.join();
    expect(await worker.call(RELEASE)).toEqual({ released: false, sessions: 0 });
  });

  test.each([
    ["no JSON", "hello?"],
    ["half a message", '{"type":"call","id":'],
    ["an empty line", ""],
    ["a message that nobody knows", '{"type":"shout"}'],
    ["what a host says", '{"type":"welcome","service":"a","release":"b","certificate":null,"lost":[]}'],
    ["a call without a number", '{"type":"call","call":{"name":"release"}}'],
    ["deep nesting", `${"[".repeat(100_000)}${"]".repeat(100_000)}`],
    ["a line over the limit", "x".repeat(WORKER_LINE_BYTES + 1)],
    ["a line far over the limit", "x".repeat(3 * WORKER_LINE_BYTES)],
  ])("%s", async (_, line) => {
    const worker = await world.join("v1-1");
    worker.write(`${line}\n`);
    expect(await worker.next("refused")).toMatchObject({ final: false, error: { code: "LINK_MESSAGE_INVALID" } });
    expect(await worker.call(RELEASE)).toEqual({ released: false, sessions: 0 });
  });

  test("a call that cannot be read has its answer, and the next one too", async () => {
    const worker = await world.join("v1-1");
    const key = "k".repeat(257);
    const refused = await worker.ask({ name: "open", key, label: null });
    expect(refused.error).toMatchObject({ code: "LINK_MESSAGE_INVALID" });
    expect(await worker.call({ name: "open", key: "a", label: null })).toMatchObject({ fence: 1 });
    // Its number was taken.
    worker.send({ type: "call", id: 1, call: RELEASE });
    expect((await worker.next("refused")).error.what).toContain("call 1 after call 2");
  });

  test("calls out of order and doubled: none of them is done", async () => {
    const worker = await world.join("v1-1");
    const open = (key: string): WorkerCall => ({ name: "open", key, label: null });
    await worker.ask(open("first"), 5);
    worker.send({ type: "call", id: 5, call: open("doubled") });
    worker.send({ type: "call", id: 4, call: open("late") });
    for (const id of [5, 4]) {
      expect(await worker.next("refused")).toMatchObject({
        final: false,
        error: { code: "LINK_MESSAGE_INVALID", what: expect.stringContaining(`call ${id} after call 5`) },
      });
    }
    await worker.ask(open("next"), 9);
    expect([world.at("first"), world.at("doubled"), world.at("late"), world.at("next")]).toEqual([
      "v1-1",
      null,
      null,
      "v1-1",
    ]);
  });

  test("a reply to nothing that was asked changes nothing", async () => {
    const worker = await world.join("v1-1");
    worker.send({ type: "reply", id: 77, value: { accepted: true } });
    expect(await worker.call(RELEASE)).toEqual({ released: false, sessions: 0 });
  });

  test("more calls than may wait: the first thousand are done, each of the others has its answer", async () => {
    const worker = await world.join("v1-1");
    const { fence } = (await worker.call({ name: "open", key: "a", label: null })) as { fence: number };
    const held = Promise.withResolvers<void>();
    world.checkpoints.before = () => held.promise;
    const asked = Array.from({ length: WORKER_CALLS + 50 }, () => worker.ask({ name: "state-open", key: "a", fence }));
    const busy = await Promise.all(asked.slice(WORKER_CALLS));
    expect(busy.map(({ error }) => error?.code)).toEqual(Array.from({ length: 50 }, () => "LINK_BUSY"));
    held.resolve();
    const done = await Promise.all(asked.slice(0, WORKER_CALLS));
    expect(done.every(({ error }) => error === undefined)).toBe(true);
    expect(await worker.call(RELEASE)).toEqual({ released: false, sessions: 0 });
  });
});

describe("a link is given up", () => {
  test("on which no hello comes within 5 s, and on none other", async () => {
    const joined = await world.join("v1-1");
    const silent = world.dial(world.identity("v1-2"));
    await silent.next("challenge");
    await world.clock.advance(4999);
    expect(world.count("worker.silent")).toBe(0);
    await world.clock.advance(1);
    await silent.closed;
    expect(world.count("worker.silent")).toBe(1);
    expect(await joined.call(RELEASE)).toEqual({ released: false, sessions: 0 });
  });

  test("whose worker sends little but what cannot be read", async () => {
    const worker = await world.join("v1-1");
    const other = await world.join("v1-2");
    worker.write("?\n".repeat(200));
    const refused = [];
    for (let count = 0; count <= 100; count++) refused.push((await worker.next("refused")).final);
    expect(refused.indexOf(true)).toBe(100);
    await worker.closed;
    expect(world.count("worker.message.refused")).toBe(101);
    expect(await other.call(RELEASE)).toEqual({ released: false, sessions: 0 });
  });

  test("that a worker was refused on is closed, also where it neither reads nor closes", async () => {
    const stranger = world.dial(world.identity("v9-1"));
    const hello = await stranger.helloTo(await stranger.next("challenge"));
    stranger.pause();
    stranger.send(hello);
    stranger.send({ type: "call", id: 1, call: { name: "open", key: "a", label: null } });
    await world.until(() => world.rejected.length > 0 && world.count("worker.message.refused") > 0);
    await world.clock.advance(1000);
    // The socket of a client that reads nothing tells of its end only when something is written to it.
    stranger.write("?\n".repeat(10));
    await stranger.break();
    expect(world.rejected).toEqual([{ instance: "v9-1", reason: "unknown-instance" }]);
    expect(world.at("a")).toBeNull();
    expect(world.server.linked("rooms")).toEqual([]);
  });

  test("whose worker reads nothing, once more waits for it than the largest table", async () => {
    const worker = await world.join("v1-1");
    const other = await world.join("v1-2");
    const { fence } = (await worker.call({ name: "open", key: "a", label: null })) as { fence: number };
    const base64 = Buffer.alloc(200 * 1024, 1).toString("base64");
    const entries = [1, 2, 3, 4, 5].map((n) => ({ name: `n${n}`, format: "f", version: 1, base64 }));
    await worker.call({ name: "state-open", key: "a", fence });
    await worker.call({ name: "state-write", key: "a", fence, entries });
    worker.pause();
    for (let id = 10; id < 60; id++) worker.send({ type: "call", id, call: { name: "state-open", key: "a", fence } });
    await world.until(() => world.count("worker.stuck") > 0 && world.count("worker.away") > 0);
    expect(world.server.state("v1-1")).toBe("away");
    // Its session waits for it, as for one whose link broke.
    expect(world.stateOf("a")).toBe("open");
    expect(await other.call(RELEASE)).toEqual({ released: false, sessions: 0 });
  });

  test("that has gone while control was asked about its worker: nobody takes it for linked", async () => {
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    world.beforeIssue = () => {
      asked.resolve();
      return answer.promise;
    };
    const worker = world.dial(world.identity("v1-1"));
    worker.send(await worker.helloTo(await worker.next("challenge"), { takesJobs: true }));
    await asked.promise;
    await worker.break();
    // The host has seen the end when a link that was opened later is answered.
    world.beforeIssue = async () => {};
    await world.join("v1-2");
    answer.resolve();
    await settled();
    expect(world.server.state("v1-1")).toBe("away");
    expect(world.server.linked("rooms").map(({ member }) => member.instance)).toEqual(["v1-2"]);
  });

  test("with an older protocol than ours, with its reason", async () => {
    const worker = world.dial(world.identity("v1-1"));
    worker.send(await worker.helloTo(await worker.next("challenge"), { protocol: 0 }));
    expect(await worker.next("refused")).toMatchObject({
      final: true,
      error: { what: expect.stringContaining("protocol 0") },
    });
    await worker.closed;
  });
});

describe("a call to a worker", () => {
  test("that does not answer in time is over, and its late answer helps nobody", async () => {
    const worker = await world.join("v1-1");
    const answers = world.server.answers("v1-1", 1000);
    await worker.next("call");
    await world.clock.advance(1000);
    expect(await answers).toBe(false);
    worker.send({ type: "reply", id: 1, value: null });
    worker.answer = () => null;
    expect(await world.server.answers("v1-1", 1000)).toBe(true);
  });

  test("whose link breaks does not count against its program", async () => {
    const worker = await world.join("v1-1");
    const answers = world.server.answers("v1-1", 1000);
    await worker.next("call");
    await world.break(worker);
    expect(await answers).toBe(true);
  });
});

import type { HostCall, SessionRequest } from "@holdover/core";
import { settled } from "@holdover/testkit/manual-clock";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SILENT, type RawWorker } from "../../test/raw-worker.ts";
import { connect, instance, release } from "../../test/sessions-fixture.ts";
import { WorkersWorld } from "../../test/workers-world.ts";

let world: WorkersWorld;
beforeEach(async () => {
  world = new WorkersWorld();
  await world.open();
  world.apply(release("v1", "new", { instances: ["v1-1", "v1-2", "v1-3", "v1-4"].map((id) => instance(id)) }));
});
afterEach(() => world.close());

/** A worker that takes what it is told to, and knows what runs on it. */
interface Taker {
  link: RawWorker;
  /** Keys of the jobs that run here, by number. */
  readonly running: Map<number, string>;
  readonly offered: string[];
  readonly withdrawn: number[];
  /** Jobs that it keeps a slot for. */
  readonly slots: Map<number, string>;
}

interface Manners {
  /** What an offer is answered with; SILENT leaves it. */
  readonly offer?: () => unknown;
  /** Before a confirm is answered. */
  readonly confirm?: () => unknown;
}

const REFUSES = { offer: () => ({ accepted: false, reason: "full" }) };

async function taker(id: string, manners: Manners = {}): Promise<Taker> {
  const link = await world.join(id, { takesJobs: true });
  const one: Taker = { link, running: new Map(), offered: [], withdrawn: [], slots: new Map() };
  serve(one, manners);
  return one;
}

function serve(one: Taker, { offer = () => ({ accepted: true }), confirm = () => null }: Manners): void {
  one.link.answer = (call: HostCall) => {
    if (call.name === "offer") {
      one.offered.push(call.job.session.key);
      one.slots.set(call.job.id, call.job.session.key);
      return offer();
    }
    if (call.name === "confirm") {
      one.running.set(call.job, one.slots.get(call.job) ?? "?");
      return confirm();
    }
    if (call.name === "withdraw") {
      one.slots.delete(call.job);
      one.withdrawn.push(call.job);
    }
    if (call.name === "ending") for (const [job, key] of one.running) if (key === call.key) one.running.delete(job);
    return null;
  };
}

const request = (key: string | null, more: Partial<SessionRequest> = {}): SessionRequest => ({
  service: "rooms",
  key,
  agent: "echo",
  tenant: null,
  label: null,
  payload: { hello: [1, null] },
  ...more,
});

const open = (key: string | null, more: Partial<SessionRequest> = {}) => world.server.open(request(key, more));

describe("a session that is opened", () => {
  test("is offered whole, stored, confirmed, and told to whoever asked, in this order", async () => {
    const one = await taker("v1-1");
    const opened = await open("a", { tenant: "acme", label: "gold" });
    expect(opened).toEqual({ key: "a", release: "v1", instance: "v1-1", fence: 1, already: false });
    expect(one.link.asked).toEqual([
      {
        name: "offer",
        job: {
          id: 1,
          session: { key: "a", label: "gold" },
          agent: "echo",
          tenant: "acme",
          payload: { hello: [1, null] },
        },
      },
      { name: "confirm", job: 1, fence: 1, openedAtMs: world.clock.now() },
    ]);
    expect((await world.pins.pins()).map(({ key, label }) => [key, label])).toEqual([["a", "gold"]]);
  });

  test("without a key has one that nobody has", async () => {
    await taker("v1-1");
    const keys = (await Promise.all([open(null), open(null)])).map(({ key }) => key);
    expect(new Set(keys).size).toBe(2);
    expect(keys.map((key) => world.at(key))).toEqual(["v1-1", "v1-1"]);
  });

  test("goes to the next worker where one refuses, three at the most, and nothing is stored", async () => {
    const refusing = await Promise.all(["v1-1", "v1-2"].map((id) => taker(id, REFUSES)));
    const last = await taker("v1-3");
    expect((await open("a")).instance).toBe("v1-3");
    const also = await taker("v1-4", REFUSES);
    serve(last, REFUSES);
    await expect(open("b")).rejects.toThrow("full × 3");
    expect([...refusing, last, also].map(({ offered }) => offered.length).reduce((a, b) => a + b)).toBe(6);
    expect(await world.pins.pins()).toHaveLength(1);
  });

  test("goes to the next worker where one does not answer within 1.5 s, and is withdrawn from it", async () => {
    const silent = await taker("v1-1", { offer: () => SILENT });
    const second = await taker("v1-2");
    const asked = open("a");
    await silent.link.next("call");
    await world.clock.advance(1499);
    expect(second.offered).toEqual([]);
    await world.clock.advance(1);
    expect((await asked).instance).toBe("v1-2");
    await silent.link.next("call", ({ call }) => call.name === "withdraw");
    expect([silent.withdrawn, silent.running.size]).toEqual([[1], 0]);
    // Its answer comes after all: it is too late, and begins nothing.
    silent.link.send({ type: "reply", id: 1, value: { accepted: true } });
    await world.heard(silent.link);
    expect(world.at("a")).toBe("v1-2");
  });

  test.each([
    ["nonsense", "yes"],
    ["a reason of 10,000 characters", { accepted: false, reason: "r".repeat(10_000) }],
    ["nothing", null],
  ])("goes to the next worker where one answers %s", async (_, answer) => {
    const first = await taker("v1-1", { offer: () => answer });
    await taker("v1-2");
    expect((await open("a")).instance).toBe("v1-2");
    await first.link.next("call", ({ call }) => call.name === "withdraw");
    expect(first.running.size).toBe(0);
  });

  test("is asked of no worker that takes no jobs, drains, was revoked, is away, or is of a release that takes none", async () => {
    const plain = await world.join("v1-1");
    const draining = await taker("v1-2");
    await draining.link.call({ name: "draining", draining: true });
    const revoked = await taker("v1-3");
    const away = await taker("v1-4");
    await world.break(away.link);
    world.trust = { ...world.trust, epoch: 2, revoked: ["v1-3"] };
    world.apply(release("v1", "new", { instances: ["v1-1", "v1-2", "v1-3", "v1-4"].map((id) => instance(id)) }));
    await expect(open("a")).rejects.toThrow("none is linked");
    world.apply(release("v1", "existing"), release("v2", "new"));
    await draining.link.call({ name: "draining", draining: false });
    await expect(open("a")).rejects.toThrow("none is linked");
    expect([plain.asked, draining.offered, revoked.offered, away.offered]).toEqual([[], [], [], []]);
    expect(await world.pins.pins()).toEqual([]);
  });

  test("is refused while the host closes, and asked of nobody", async () => {
    const one = await taker("v1-1");
    world.sessions.startClosing("finish");
    await expect(open("a")).rejects.toMatchObject({ code: "HOST_CLOSING" });
    expect(one.offered).toEqual([]);
  });
});

describe("nothing is accepted and then refused, and at most one worker runs a job", () => {
  test("where the table changes between the acceptance and the placing: the next release has it", async () => {
    const two = { current: null as Taker | null };
    const one = await taker("v1-1", {
      offer: () => {
        world.apply(release("v1", "existing"), release("v2", "new"));
        return { accepted: true };
      },
    });
    world.running.set("v2-1", { service: "rooms", release: "v2" });
    two.current = await taker("v2-1");
    const opened = await open("a");
    expect([opened.release, opened.instance]).toEqual(["v2", "v2-1"]);
    await one.link.next("call", ({ call }) => call.name === "withdraw");
    expect([one.running.size, one.slots.size, two.current.running.size]).toEqual([0, 0, 1]);
  });

  test("where the table changes and no worker is left: whoever asked hears so, and nothing is stored", async () => {
    const one = await taker("v1-1", {
      offer: () => {
        world.apply(release("v1", "none"));
        return { accepted: true };
      },
    });
    await expect(open("a")).rejects.toThrow("not admitted × 1");
    await one.link.next("call", ({ call }) => call.name === "withdraw");
    expect([one.running.size, await world.pins.pins()]).toEqual([0, []]);
  });

  test("where the store fails: the slot is given back, and the next one who asks has it", async () => {
    const one = await taker("v1-1");
    const place = world.pins.place.bind(world.pins);
    world.pins.place = () => Promise.reject(new Error("the disk is full"));
    await expect(open("a")).rejects.toThrow("the disk is full");
    await one.link.next("call", ({ call }) => call.name === "withdraw");
    expect([one.running.size, one.slots.size, world.at("a")]).toEqual([0, 0, null]);
    world.pins.place = place;
    expect((await open("a")).instance).toBe("v1-1");
  });

  test("where the link breaks before the confirmation: the session is ended, and another worker has it under a new fence", async () => {
    const one = await taker("v1-1", { confirm: () => SILENT });
    const two = await taker("v1-2");
    const asked = open("a");
    await one.link.next("call", ({ call }) => call.name === "confirm");
    await world.break(one.link);
    const opened = await asked;
    expect([opened.instance, opened.fence]).toEqual(["v1-2", 2]);
    expect(await world.ends()).toEqual(["a cut"]);
    // It had begun it all the same, and comes back with it.
    const next = world.dial(one.link.identity);
    const claimed = { key: "a", fence: 1, endsWith: true };
    await next.join({ takesJobs: true, sessions: [claimed] });
    await world.clock.advance(100);
    await next.next("call", ({ call }) => call.name === "ending" && call.key === "a" && call.how === "cut");
    expect([world.at("a"), two.running.size]).toEqual(["v1-2", 1]);
  });

  test("where the worker says of the confirmation that it knows no such job", async () => {
    const one = await taker("v1-1");
    const two = await taker("v1-2");
    const { answer } = one.link;
    one.link.answer = (call) => (call.name === "confirm" ? SILENT : answer(call));
    const asked = open("a");
    const { id } = await one.link.next("call", ({ call }) => call.name === "confirm");
    const error = { code: "LINK_MESSAGE_INVALID", what: "no such job", next: "", details: {} };
    one.link.send({ type: "reply", id, error });
    const opened = await asked;
    expect([opened.instance, two.running.size, one.running.size]).toEqual(["v1-2", 1, 0]);
    expect(await world.ends()).toEqual(["a cut"]);
  });

  test("where the confirmation is not answered in 3 s: it goes on, nobody else begins it, and who asks again hears so", async () => {
    const one = await taker("v1-1", { confirm: () => SILENT });
    const two = await taker("v1-2");
    const asked = open("a").catch((thrown: unknown) => thrown);
    await one.link.next("call", ({ call }) => call.name === "confirm");
    await world.clock.advance(3000);
    expect(await asked).toMatchObject({ code: "LINK_DOWN" });
    // The log tells of it without the session's key.
    expect(world.details.at(world.logged.indexOf("offer.unconfirmed"))).toEqual({
      session: "the name of 1 letters",
      problem: expect.any(String),
    });
    expect([one.running.size, two.running.size]).toEqual([1, 0]);
    expect(await open("a")).toMatchObject({ instance: "v1-1", already: true });
    expect(two.offered).toEqual([]);
  });

  test("where the instance dies between the acceptance and the placing", async () => {
    const one = await taker("v1-1", {
      offer: () => {
        void world.lose("v1-1");
        return SILENT;
      },
    });
    await taker("v1-2");
    expect((await open("a")).instance).toBe("v1-2");
    expect(one.running.size).toBe(0);
  });
});

describe("a key that is asked for by two", () => {
  test("at once: one job, and both are told of the same session", async () => {
    const takers = [await taker("v1-1"), await taker("v1-2")];
    const [first, second] = await Promise.all([open("a"), open("a")]);
    expect(first).toMatchObject({ already: false });
    expect(second).toEqual({ ...first, already: true });
    expect(takers.map(({ offered }) => offered.length).reduce((sum, length) => sum + length)).toBe(1);
  });

  test("one after the other: the second hears where it lives, and nobody is asked", async () => {
    const takers = [await taker("v1-1"), await taker("v1-2")];
    const first = await open("a");
    expect(await open("a")).toEqual({ ...first, already: true });
    expect(takers.map(({ offered }) => offered.length).reduce((sum, length) => sum + length)).toBe(1);
  });

  test("while it is offered a client connects with it: it lives where the client is, and the job begins nowhere", async () => {
    world.apply(release("v1", "new", { instances: [instance("v1-1"), instance("v1-2")] }));
    const clients: string[] = [];
    const one = await taker("v1-1", {
      offer: async () => {
        // Both are free; the one that has a session less has the next one.
        await connect(world.sessions, "b");
        clients.push((await connect(world.sessions, "a")).hold.instance);
        return { accepted: true };
      },
    });
    const opened = await open("a");
    expect([clients, opened.instance, opened.already]).toEqual([["v1-2"], "v1-2", true]);
    await one.link.next("call", ({ call }) => call.name === "withdraw");
    expect(one.running.size).toBe(0);
  });
});

describe("a key whose session lives without a job", () => {
  test("and is connected: whoever asks hears where it lives", async () => {
    const { hold } = await connect(world.sessions, "a");
    const one = await taker(hold.instance);
    expect(await open("a")).toMatchObject({ instance: hold.instance, fence: hold.fence, already: true });
    expect(one.offered).toEqual([]);
  });

  test("and lingers: its job begins where it lives, under its fence, on a retained release and where it is full too", async () => {
    const { hold } = await connect(world.sessions, "a");
    const one = await taker(hold.instance);
    const other = await taker(hold.instance === "v1-1" ? "v1-2" : "v1-1");
    hold.done();
    world.apply(release("v1", "existing", { instances: [instance(hold.instance, 1)] }), release("v2", "new"));
    expect(await open("a")).toEqual({
      key: "a",
      release: "v1",
      instance: hold.instance,
      fence: hold.fence,
      already: false,
    });
    expect([one.running.size, other.offered]).toEqual([1, []]);
    await world.clock.advance(60_000);
    expect(world.stateOf("a")).toBe("open");
  });

  test("and lingers where its worker refuses: nothing is opened elsewhere", async () => {
    const { hold } = await connect(world.sessions, "a");
    const one = await taker(hold.instance, REFUSES);
    const other = await taker(hold.instance === "v1-1" ? "v1-2" : "v1-1");
    hold.done();
    await expect(open("a")).rejects.toThrow("full × 1");
    expect([one.offered, other.offered, world.at("a")]).toEqual([["a"], [], hold.instance]);
  });
});

test("a job that has ended leaves its key free, and what a worker that went away held waits", async () => {
  const one = await taker("v1-1");
  const { fence } = await open("a");
  await one.link.call({ name: "end", key: "a", fence, how: "hangup" });
  await settled();
  const again = await open("a");
  expect(again.fence).toBeGreaterThan(fence);
  expect(await world.ends()).toEqual(["a hangup"]);
});

import type { AuditEntry, SessionEvent } from "@holdover/core";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createControlWorld, definition, type ControlWorld } from "./control-world.ts";

const PROMOTE = { then: "promote" } as const;
const WAIT = { then: "wait" } as const;
const RAMP = { then: "ramp", percent: 10 } as const;

const worlds: ControlWorld[] = [];

afterEach(async () => {
  await Promise.all(worlds.splice(0).map((world) => world.dispose()));
});

async function open(services: Record<string, ReturnType<typeof definition>>): Promise<ControlWorld> {
  const world = await createControlWorld(services);
  worlds.push(world);
  return world;
}

/** One service, whose release v1 is current. */
async function openRooms(given: Record<string, unknown> = {}): Promise<ControlWorld> {
  const world = await open({ rooms: definition({ dir: "/builds/v1", ...given }) });
  await inForce(world, "v1");
  return world;
}

const deploy = (world: ControlWorld, release: string, more: object = {}) =>
  world.control().deploy("rooms", { release, dir: `/builds/${release}`, then: PROMOTE, ...more }, "operator:ana");

const states = (world: ControlWorld): string[] =>
  world
    .control()
    .status()
    .services.flatMap(({ releases }) => releases.map(({ id, state }) => `${id} ${state}`));

const admitting = (world: ControlWorld): string[] =>
  (world.dataPlane.tables.at(-1)?.services ?? []).flatMap(({ releases }) =>
    releases.filter(({ admission }) => admission === "new").map(({ id }) => id),
  );

const inForce = (world: ControlWorld, release: string): Promise<void> =>
  vi.waitFor(() => expect(admitting(world)).toEqual([release]), { timeout: 20_000, interval: 20 });

const kinds = (entries: readonly AuditEntry[], prefix: string): string[] =>
  entries.filter(({ kind }) => kind.startsWith(prefix)).map(({ kind, release }) => `${release ?? ""} ${kind}`);

const DEPLOYED = [
  "v1 release.starting",
  "v1 release.snapshot",
  "v1 release.gate-passed",
  "v1 release.ready",
  "v1 release.current",
  "v2 release.starting",
  "v2 release.snapshot",
  "v2 release.gate-passed",
  "v2 release.ready",
  "v2 release.current",
  "v1 release.retained",
  "v1 release.retired",
];

describe("a crash of control", () => {
  /** A deploy of v2 in the course of which control dies after so many steps. @returns whether it died */
  async function deployWithDeath(world: ControlWorld, steps: number): Promise<boolean> {
    const died = world.dieAfter(steps).then(() => true);
    void deploy(world, "v2");
    const finished = (async () => {
      await world.becomes("rooms", "v1", "retired");
      await inForce(world, "v2");
      return false;
    })();
    finished.catch(() => {});
    return Promise.race([died, finished]);
  }

  test("after any step of a deploy changes nothing of how it ends, and every state is audited once", async () => {
    let deaths = 0;
    const crash = async (steps: number): Promise<void> => {
      const world = await openRooms({ gate: { command: ["gate"] } });
      if (await deployWithDeath(world, steps)) {
        deaths += 1;
        await world.restart();
      }
      await world.becomes("rooms", "v1", "retired");
      await inForce(world, "v2");
      const entries = await world.audit();
      const begun = entries.filter(({ kind }) => kind === "instance.starting").map(({ instance }) => instance);
      const numbers = world.dataPlane.tables.map(({ number }) => number);
      // In one piece, so that a failure names the step.
      expect({
        steps,
        states: states(world),
        alive: world.alive().map((id) => id.replace(/-\d+$/, "")),
        audited: kinds(entries, "release.").toSorted(),
        chain: (await world.store().audit.verify()).seq,
        begun,
        numbers,
      }).toEqual({
        steps,
        states: ["v1 retired", "v2 current"],
        alive: ["rooms.v2"],
        audited: DEPLOYED.toSorted(),
        chain: entries.length,
        begun: [...new Set(begun)],
        numbers: [...new Set(numbers)].toSorted((a, b) => a - b),
      });
      worlds.splice(worlds.indexOf(world), 1);
      await world.dispose();
    };
    // A deploy takes some twenty steps; the last of these worlds see no death, and end the same.
    const queue = Array.from({ length: 24 }, (_, index) => index + 1)[Symbol.iterator]();
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        for (const steps of queue) await crash(steps);
      }),
    );
    expect(deaths).toBeGreaterThan(15);
  }, 120_000);

  test("keeps all services and their releases", async () => {
    const world = await open({
      rooms: definition({ dir: "/builds/v1", hosts: ["rooms.test"] }),
      games: definition({ dir: "/builds/g1", release: "g1", hosts: ["games.test"] }),
    });
    await world.becomes("rooms", "v1", "current");
    await world.becomes("games", "g1", "current");
    await world.restart();
    expect(states(world)).toEqual(["v1 current", "g1 current"]);
    expect(world.alive()).toHaveLength(2);
  });

  test("does not bring back the definition from before a deploy; a new host's configuration does", async () => {
    const first = definition({ dir: "/builds/v1" });
    const world = await openRooms();
    await deploy(world, "v2", { definition: { command: "node instance.js", path: "/chat" } });
    await world.becomes("rooms", "v2", "current");
    await world.restart();
    expect(world.control().status().services[0]?.path).toBe("/chat");
    await world.restart({ rooms: first });
    expect(world.control().status().services[0]?.path).toBe("/");
  });
});

describe("a definition that comes with a deploy", () => {
  test("is in force from the cutover on, and not before", async () => {
    const world = await openRooms();
    const given = {
      ...definition(),
      health: {},
      session: {},
      retention: { policy: "until-empty", floor: "0s" },
      stopGrace: "1s",
    };
    const { disconnects: _, connectionAgeGrace: _grace, ...section } = given;
    await deploy(world, "v2", { then: WAIT, definition: { ...section, path: "/chat" } });
    await world.becomes("rooms", "v2", "ready");
    expect(world.control().status().services[0]?.path).toBe("/");
    expect(world.dataPlane.tables.at(-1)?.services[0]?.path).toBe("/");
    await world.control().promote("rooms", "v2", "operator");
    expect(world.dataPlane.tables.at(-1)?.services[0]?.path).toBe("/chat");
  });

  test("is refused where another service answers for its host and path, also one that is still coming", async () => {
    const world = await openRooms();
    const chat = { command: "node instance.js", hosts: ["chat.test"] };
    await world
      .control()
      .deploy("chat", { release: "c1", dir: "/builds/c1", then: WAIT, definition: chat }, "operator");
    const taking = (given: object) =>
      world
        .control()
        .deploy(
          "other",
          { release: "o1", dir: "/builds/o1", then: PROMOTE, definition: { command: "node", ...given } },
          "o",
        );
    await expect(taking({})).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining("rooms"),
    });
    await expect(taking({ hosts: ["chat.test"] })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await expect(
      world.control().deploy("rooms", { release: "v2", dir: "/b", then: PROMOTE, definition: chat }, "o"),
    ).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await deploy(world, "v2", { then: WAIT, definition: { command: "node", hosts: ["coming.test"] } });
    await expect(taking({ hosts: ["coming.test"] })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    expect(
      world
        .control()
        .status()
        .services.map(({ name }) => name),
    ).toEqual(["rooms", "chat"]);
  });

  test("a service that holdover.yaml does not name any more goes on, and its address is not given to another", async () => {
    const world = await openRooms();
    await expect(world.restart({ chat: definition() })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await world.restart({ chat: definition({ hosts: ["chat.test"] }) });
    expect(states(world)).toEqual(["v1 current"]);
  });
});

test("the first release of a service is taken up at the next start where its directory was missing", async () => {
  const world = await openRooms();
  const games = { games: definition({ dir: "/builds/g1", release: "g1", hosts: ["games.test"] }) };
  world.builds.missing.add("/builds/g1");
  await expect(world.restart(games)).rejects.toMatchObject({ code: "DIRECTORY_MISSING" });
  world.builds.missing.clear();
  await world.restart(games);
  await world.becomes("games", "g1", "current");
});

describe("what is refused", () => {
  test("names what stands in the way, and changes nothing", async () => {
    const world = await openRooms();
    const control = world.control();
    await deploy(world, "v2", { then: WAIT });
    await expect(deploy(world, "v3")).rejects.toMatchObject({ code: "DEPLOY_IN_PROGRESS" });
    await world.becomes("rooms", "v2", "ready");
    const before = await world.audit();
    const refused: [string, Promise<unknown>][] = [
      ["SERVICE_UNKNOWN", control.deploy("none", { release: "v1", dir: "/b", then: PROMOTE }, "o")],
      ["SERVICE_UNKNOWN", control.promote("none", "v1", "o")],
      ["RELEASE_EXISTS", deploy(world, "v1")],
      ["CONFIG_INVALID", deploy(world, "v3", { definition: { command: [] } })],
      ["RELEASE_UNKNOWN", control.promote("rooms", "v9", "o")],
      ["RELEASE_TRANSITION", control.promote("rooms", "v1", "o")],
      ["RELEASE_TRANSITION", control.ramp("rooms", "v1", 10, "o")],
      ["NO_PREVIOUS_RELEASE", control.rollback("rooms", { sessions: "finish" }, "o")],
      ["RELEASE_IS_CURRENT", control.retire("rooms", "v1", true, "o")],
      ["INSTANCE_UNKNOWN", control.logs("rooms", "v1", "rooms.v1-99", 10)],
    ];
    for (const [code, operation] of refused) await expect(operation).rejects.toMatchObject({ code });
    expect(states(world)).toEqual(["v1 current", "v2 ready"]);
    expect(await world.audit()).toEqual(before);
  });

  test("a ramp without a current release, which the rest of the sessions could go to", async () => {
    const world = await open({ rooms: definition() });
    await expect(deploy(world, "v1", { then: RAMP })).rejects.toMatchObject({ code: "NO_CURRENT_RELEASE" });
    await deploy(world, "v1", { then: WAIT });
    await world.becomes("rooms", "v1", "ready");
    await expect(world.control().ramp("rooms", "v1", 10, "o")).rejects.toMatchObject({ code: "NO_CURRENT_RELEASE" });
  });
});

describe("a session that is opened by word", () => {
  const request = { service: "rooms", key: "call-1", agent: "default", tenant: null, label: null, payload: { n: 1 } };
  const opened = { key: "call-1", release: "v1", instance: "rooms.v1-1", fence: 1, already: false };

  test("is asked of the data plane, and its answer is the answer", async () => {
    const world = await open({ rooms: definition() });
    await expect(world.control().open(request)).rejects.toMatchObject({ code: "WORKER_NONE" });
    const asked: unknown[] = [];
    world.dataPlane.opens = async (given) => {
      asked.push(given);
      return opened;
    };
    expect(await world.control().open(request)).toEqual(opened);
    expect(asked).toEqual([request]);
    world.dataPlane.setLinked(false);
    await expect(world.control().open(request)).rejects.toMatchObject({ code: "LINK_DOWN" });
  });

  test("is refused for a service or a label that there is not, and while Holdover shuts down", async () => {
    const label = { name: "kind", from: [{ query: "kind" }], values: ["short", "long"] };
    const world = await open({ rooms: definition({ session: { label } }) });
    world.dataPlane.opens = async () => opened;
    await expect(world.control().open({ ...request, service: "room" })).rejects.toMatchObject({
      code: "SERVICE_UNKNOWN",
    });
    await expect(world.control().open({ ...request, label: "shrot" })).rejects.toThrow("it lists: short, long");
    expect(await world.control().open({ ...request, label: "short" })).toEqual(opened);
    world.dataPlane.setClosing();
    await expect(world.control().open(request)).rejects.toMatchObject({ code: "HOST_CLOSING" });
  });
});

describe("while the host is out of reach", () => {
  test("what would change the table is refused and not stored; a deploy is taken, and goes on when the host is back", async () => {
    const world = await openRooms({ retention: { policy: "until-empty", floor: "1h" } });
    await deploy(world, "v2");
    await world.becomes("rooms", "v2", "current");
    world.dataPlane.setLinked(false);
    const control = world.control();
    for (const operation of [
      control.rollback("rooms", { sessions: "finish" }, "o"),
      control.promote("rooms", "v1", "o"),
      control.ramp("rooms", "v1", 10, "o"),
      control.retire("rooms", "v1", true, "o"),
      control.shutdown(true, "o"),
    ]) {
      await expect(operation).rejects.toMatchObject({ code: "LINK_DOWN" });
    }
    expect(control.status().services[0]?.sessions).toBeNull();
    expect(kinds(await world.audit(), "host.")).toEqual([]);
    await deploy(world, "v3");
    expect(states(world)).toEqual(["v1 retained", "v2 current", "v3 starting"]);
    world.dataPlane.setLinked(true);
    await world.becomes("rooms", "v3", "current");
  });

  test("a change whose table does not arrive says that it is stored and not in force, and it comes into force by itself", async () => {
    const world = await openRooms();
    await deploy(world, "v2", { then: WAIT });
    await world.becomes("rooms", "v2", "ready");
    const apply = vi.spyOn(world.dataPlane, "apply").mockRejectedValue(new Error("cut off"));
    await expect(world.control().promote("rooms", "v2", "o")).rejects.toMatchObject({
      code: "NOT_IN_FORCE",
      message: expect.stringContaining("cut off"),
    });
    expect(world.control().release("rooms", "v2").state).toBe("current");
    expect(admitting(world)).toEqual(["v1"]);
    apply.mockRestore();
    await inForce(world, "v2");
  });

  test.each([0, 1000])(
    "a host that comes back with table %i gets a higher one than it and any before",
    async (number) => {
      const world = await openRooms();
      const issued = world.dataPlane.tables.at(-1)?.number ?? 0;
      world.dataPlane.setTableNumber(number);
      await vi.waitFor(() => expect(world.dataPlane.tableInForce()).toBeGreaterThan(Math.max(number, issued - 1)), {
        timeout: 5000,
      });
      expect(admitting(world)).toEqual(["v1"]);
    },
  );
});

test("a change that the store refuses has not happened: control knows no more than the disk", async () => {
  const world = await openRooms();
  await deploy(world, "v2", { then: WAIT });
  await world.becomes("rooms", "v2", "ready");
  const tables = world.dataPlane.tables.length;
  const before = await world.audit();
  world.refuseWrites(true);
  await expect(world.control().promote("rooms", "v2", "o")).rejects.toMatchObject({ code: "STORE_FAILED" });
  await expect(world.control().deploy("rooms", { release: "v3", dir: "/b", then: WAIT }, "o")).rejects.toMatchObject({
    code: "STORE_FAILED",
  });
  expect(states(world)).toEqual(["v1 current", "v2 ready"]);
  expect(world.dataPlane.tables).toHaveLength(tables);
  world.refuseWrites(false);
  expect(await world.audit()).toEqual(before);
  await world.control().promote("rooms", "v2", "o");
  expect(admitting(world)).toEqual(["v2"]);
});

test("a snapshot that was begun for a deploy which was given up does not pass for the next one under the same id", async () => {
  const world = await openRooms();
  const begun = Promise.withResolvers<void>();
  const old = Promise.withResolvers<{ digest: string }>();
  const taken: string[] = [];
  world.builds.snapshot = (from) => {
    taken.push(from);
    if (taken.length > 1) return Promise.resolve({ digest: "sha256:new" });
    begun.resolve();
    return old.promise;
  };
  await deploy(world, "v2", { dir: "/builds/old" });
  await begun.promise;
  await world.control().retire("rooms", "v2", true, "o");
  await deploy(world, "v2", { dir: "/builds/new" });
  old.resolve({ digest: "sha256:old" });
  await world.becomes("rooms", "v2", "current");
  expect(taken).toEqual(["/builds/old", "/builds/new"]);
  expect(world.control().release("rooms", "v2").digest).toBe("sha256:new");
});

test("an instance that dies is replaced by one with a number of its own", async () => {
  const world = await openRooms();
  const [first] = world.platform.instances() ?? [];
  if (!first?.pid) throw new Error("no process is behind the instance");
  process.kill(first.pid, "SIGKILL");
  await vi.waitFor(() => expect(world.alive()).toEqual(["rooms.v1-2"]), { timeout: 10_000, interval: 20 });
});

test("a rollback that cuts leaves an entry for each state that the release it leaves goes through", async () => {
  const world = await openRooms({ retention: { policy: "until-empty", floor: "1h" } });
  await deploy(world, "v2");
  await world.becomes("rooms", "v2", "current");
  const view = await world.control().rollback("rooms", { sessions: "cut" }, "operator:ana");
  expect([view.id, view.state]).toEqual(["v1", "current"]);
  await world.becomes("rooms", "v2", "retired");
  const entries = await world.audit();
  expect(kinds(entries.slice(-12), "release.")).toEqual(
    expect.arrayContaining([
      "v2 release.retained",
      "v1 release.current",
      "v1 release.rolled-back",
      "v2 release.expiring",
      "v2 release.retired",
    ]),
  );
  expect(entries.findLast(({ kind }) => kind === "release.expiring")).toMatchObject({ actor: "operator:ana" });
});

describe("session events", () => {
  const pin = {
    service: "rooms",
    key: "lobby",
    release: "v1",
    instance: "rooms.v1-1",
    fence: 3,
    openedAtMs: 1,
    label: null,
  };
  const events: SessionEvent[] = [
    { seq: 1, atMs: 2, kind: "disrupted", pin, connections: 2 },
    { seq: 2, atMs: 3, kind: "placed-anew", pin: { ...pin, fence: 4 }, from: "rooms.v1-1" },
    { seq: 3, atMs: 4, kind: "ended", session: { ...pin, reason: "hangup", endedAtMs: 4, connectionsClosed: 0 } },
    { seq: 4, atMs: 5, kind: "ended", session: { ...pin, reason: "cut", endedAtMs: 5, connectionsClosed: 1 } },
  ];

  test("are recorded once, however often they come, and those that were no natural end are audited", async () => {
    const world = await openRooms();
    world.refuseWrites(true);
    await expect(world.dataPlane.tell("host-1", events)).rejects.toMatchObject({ code: "STORE_FAILED" });
    world.refuseWrites(false);
    await world.dataPlane.tell("host-1", events.slice(0, 2));
    await world.dataPlane.tell("host-1", events);
    await world.restart();
    await world.dataPlane.tell("host-1", events);
    const ended = await world.control().history({ service: "rooms" }, 10);
    expect(ended.map(({ reason }) => reason)).toEqual(["cut", "hangup"]);
    const told = (await world.audit()).filter(({ kind }) => kind.startsWith("session."));
    expect(told.map(({ kind, session }) => `${kind} ${session ?? ""}`)).toEqual([
      "session.disrupted lobby",
      "session.placed-anew lobby",
      "session.cut lobby",
    ]);
  });
});

describe("a shutdown", () => {
  const closings = async (world: ControlWorld) =>
    (await world.audit()).filter(({ kind }) => kind === "host.closing").map(({ actor, reason }) => [actor, reason]);

  test("by word is audited once with who wanted it, also over a crash of control, and nothing can be changed after it", async () => {
    const world = await openRooms();
    await world.control().shutdown(false, "operator:ana");
    await vi.waitFor(async () => expect(await closings(world)).toEqual([["operator:ana", "down"]]));
    await expect(deploy(world, "v2")).rejects.toMatchObject({ code: "HOST_CLOSING" });
    await world.restart();
    await expect(deploy(world, "v2")).rejects.toMatchObject({ code: "HOST_CLOSING" });
    await world.control().shutdown(true, "operator:ben");
    await vi.waitFor(async () => expect(await closings(world)).toHaveLength(2));
    expect((await closings(world))[1]).toEqual(["operator:ben", "down, cutting what is live"]);
  });

  test("by a signal to the host is audited as such", async () => {
    const world = await openRooms();
    world.dataPlane.setClosing();
    await vi.waitFor(async () => expect(await closings(world)).toEqual([["operator", "a signal to the host"]]));
  });
});

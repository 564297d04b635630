import type { PreviewRequest, PreviewView } from "@holdover/control";
import { HoldoverError, type SessionMove } from "@holdover/core";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createControlWorld, definition, type ControlWorld } from "./control-world.ts";

/** What is shown before a word, on real stores and processes: it is what the word then meets. */

const ACTOR = "operator:ana";

let world: ControlWorld;
beforeEach(async () => {
  const retention = { policy: "until-empty", floor: "1h", grace: "20s" };
  world = await createControlWorld({ rooms: definition({ dir: "/builds/v1", retention }) });
  await world.becomes("rooms", "v1", "current");
});
afterEach(() => world.dispose());

const preview = (request: PreviewRequest): Promise<PreviewView> => world.control().preview("rooms", request);
const restart = { action: "restart", batch: 1, waitMs: 60_000, graceMs: 20_000 } as const;

/** The word that a preview is of. */
function say(request: PreviewRequest): Promise<unknown> {
  const control = world.control();
  switch (request.action) {
    case "deploy":
      return control.deploy("rooms", { release: request.release, then: { then: "promote" } }, ACTOR);
    case "promote":
      return control.promote("rooms", request.release, ACTOR);
    case "ramp":
      return control.ramp("rooms", request.release, request.percent, ACTOR);
    case "rollback":
      return control.rollback("rooms", request, ACTOR);
    case "retire":
      return control.retire("rooms", request.release, request.now, ACTOR);
    case "restart":
      return control.restart("rooms", request, ACTOR);
    case "move":
      return control.move("rooms", request.key, ACTOR);
  }
}

/** Both as one: what is shown, and the code that the word itself is refused with. */
async function shownAndSaid(request: PreviewRequest): Promise<[string | null, string | null]> {
  const { problem } = await preview(request);
  const refusal = await say(request).then(
    () => null,
    (thrown: unknown) => (thrown as HoldoverError).code,
  );
  return [problem?.code ?? null, refusal];
}

async function wait(release: string): Promise<void> {
  await world.control().deploy("rooms", { release, dir: `/builds/${release}`, then: { then: "wait" } }, ACTOR);
  await world.becomes("rooms", release, "ready");
}

describe("a word that is refused", () => {
  const refused: [string, PreviewRequest][] = [
    ["RELEASE_UNKNOWN", { action: "promote", release: "v9" }],
    ["RELEASE_UNKNOWN", { action: "retire", release: "<script>alert(1)</script>", now: false }],
    ["RELEASE_TRANSITION", { action: "promote", release: "v1" }],
    ["RELEASE_IS_CURRENT", { action: "retire", release: "v1", now: true }],
    ["NO_PREVIOUS_RELEASE", { action: "rollback", sessions: "finish" }],
    ["RELEASE_EXISTS", { action: "deploy", release: "v1" }],
    ["RESTART_INFEASIBLE", { ...restart, batch: 7 }],
    ["SESSION_NOT_LIVE", { action: "move", key: "nobody" }],
  ];
  test.each(refused)("with %s is refused with the same in its preview: %j", async (code, request) => {
    expect(await shownAndSaid(request)).toEqual([code, code]);
    const shown = await preview(request);
    expect(shown).toMatchObject({ moves: 0, cuts: 0, confirm: null, effects: [], deployPlan: null, restartPlan: null });
    expect(shown.problem?.what).not.toBe("");
    expect(shown.problem?.next).not.toBe("");
  });

  test("for its build, or for a deploy that is under way, is refused with the same in its preview", async () => {
    world.builds.missing.add("/builds/v1");
    expect(await shownAndSaid({ action: "deploy", release: "v2" })).toEqual(["DIRECTORY_MISSING", "DIRECTORY_MISSING"]);
    world.builds.missing.clear();
    world.builds.snapshot = () => new Promise(() => {});
    await world.control().deploy("rooms", { release: "v2", then: { then: "promote" } }, ACTOR);
    expect(await shownAndSaid({ action: "deploy", release: "v3" })).toEqual([
      "DEPLOY_IN_PROGRESS",
      "DEPLOY_IN_PROGRESS",
    ]);
  });

  test("because the host is away or shuts down is refused with the same in its preview", async () => {
    await wait("v2");
    const promote = { action: "promote", release: "v2" } as const;
    world.dataPlane.setLinked(false);
    expect(await shownAndSaid(promote)).toEqual(["LINK_DOWN", "LINK_DOWN"]);
    world.dataPlane.setLinked(true);
    world.dataPlane.setClosing();
    expect(await shownAndSaid(promote)).toEqual(["HOST_CLOSING", "HOST_CLOSING"]);
  });

  test("of a service that there is not has no preview", async () => {
    await expect(world.control().preview("nobody", restart)).rejects.toMatchObject({ code: "SERVICE_UNKNOWN" });
  });
});

describe("a word that is allowed", () => {
  test("is done: deploy, ramp, promote, rollback, retire, each as it was shown", async () => {
    world.dataPlane.setSessions("rooms.v1-1", 3);
    const deploy = { action: "deploy", release: "v2" } as const;
    const shown = await preview(deploy);
    expect(shown).toMatchObject({ release: "v2", problem: null, moves: 0, cuts: 0, confirm: null });
    expect(shown.deployPlan).toEqual(
      await world
        .control()
        .deployPlan("rooms")
        .then((plan) => ({ ...plan, nowMs: shown.deployPlan?.nowMs })),
    );
    expect(shown.effects).toContain("3 sessions on v1 go on there, undisturbed, until the last has ended.");
    expect(await shownAndSaid(deploy)).toEqual([null, null]);
    await world.becomes("rooms", "v2", "current");
    expect(world.control().release("rooms", "v1").sessions?.open).toBe(3);

    await wait("v3");
    expect(await shownAndSaid({ action: "ramp", release: "v3", percent: 10 })).toEqual([null, null]);
    expect(await shownAndSaid({ action: "promote", release: "v3" })).toEqual([null, null]);
    const back = await preview({ action: "rollback", sessions: "finish" });
    expect([back.release, back.confirm]).toEqual(["v2", null]);
    expect(await shownAndSaid({ action: "rollback", sessions: "finish" })).toEqual([null, null]);
    expect(world.control().release("rooms", "v2").state).toBe("current");

    const retire = await preview({ action: "retire", release: "v1", now: false });
    expect(retire).toMatchObject({ moves: 3, cuts: 3, confirm: "v1" });
    expect(await shownAndSaid({ action: "retire", release: "v1", now: false })).toEqual([null, null]);
    await vi.waitFor(() => {
      const releases = world.dataPlane.tables.at(-1)?.services[0]?.releases;
      expect(releases?.find(({ id }) => id === "v1")?.ending).toBe("moved");
    });
  });

  test("asks for the release's name where it cuts, and where nobody can tell whether it does", async () => {
    await wait("v2");
    await say({ action: "promote", release: "v2" });
    world.dataPlane.setSessions("rooms.v2-1", 2);
    expect(await preview({ action: "rollback", sessions: "cut" })).toMatchObject({
      release: "v1",
      cuts: 2,
      confirm: "v1",
    });
    world.dataPlane.setSessions("rooms.v2-1", 0);
    expect(await preview({ action: "rollback", sessions: "cut" })).toMatchObject({ cuts: 0, confirm: null });
  });

  test("restarts by the plan that was shown, and counts the jobs that its grace would cut", async () => {
    world.dataPlane.setSessions("rooms.v1-1", 3);
    const ages = { ageMs: [1, 1, 1], count: [1, 1, 1], sessions: 3 };
    const none = { ageMs: [], count: [], sessions: 0 };
    const group = { release: "v1", instance: "rooms.v1-1", label: null, open: ages, lingering: none };
    world.dataPlane.setAges("rooms", { atMs: 0, groups: [{ ...group, jobs: 0 }] });
    const patient = { ...restart, graceMs: 60_000 };
    const harmless = await preview(patient);
    expect(harmless).toMatchObject({ release: "v1", problem: null, moves: 3, cuts: 0, confirm: null });
    expect(harmless.restartPlan).toEqual(await world.control().restartPlan("rooms", patient));
    world.dataPlane.setAges("rooms", { atMs: 0, groups: [{ ...group, jobs: 2 }] });
    expect(await preview(patient)).toMatchObject({
      cuts: 2,
      confirm: "v1",
      effects: expect.arrayContaining(["If not one ended by itself, 2 sessions would be cut."]),
    });
    expect(await shownAndSaid(patient)).toEqual([null, null]);
    expect(world.control().release("rooms", "v1").restart).not.toBeNull();
  });

  test("changes nothing by being shown", async () => {
    await wait("v2");
    const before = await world.audit();
    const tables = world.dataPlane.tables.length;
    const all: PreviewRequest[] = [
      { action: "deploy", release: "v3" },
      { action: "promote", release: "v2" },
      { action: "ramp", release: "v2", percent: 50 },
      { action: "retire", release: "v2", now: true },
      { action: "rollback", sessions: "cut" },
      restart,
      { action: "move", key: "a" },
    ];
    for (const request of all) await preview(request);
    expect(await world.audit()).toEqual(before);
    expect(world.dataPlane.tables).toHaveLength(tables);
  });
});

describe("moving a session", () => {
  const LOBBY = { release: "v1", instance: "rooms.v1-1", fence: 7, connections: 2, job: false, to: "v2" };
  let asked: SessionMove[];
  beforeEach(() => {
    asked = [];
    world.dataPlane.moves = async (move) => {
      asked.push(move);
      return LOBBY;
    };
  });

  test("is noted with who asked before it is done, and done under the fence that was seen", async () => {
    expect(await world.control().move("rooms", "lobby", ACTOR)).toEqual(LOBBY);
    expect(asked).toEqual([
      { service: "rooms", key: "lobby", fence: null },
      { service: "rooms", key: "lobby", fence: 7 },
    ]);
    expect((await world.audit()).at(-1)).toMatchObject({
      kind: "session.moving",
      actor: ACTOR,
      service: "rooms",
      release: "v1",
      instance: "rooms.v1-1",
      session: "lobby",
      detail: { fence: 7, connections: 2 },
    });
  });

  test("that cannot be noted is not done", async () => {
    world.refuseWrites(true);
    await expect(world.control().move("rooms", "lobby", ACTOR)).rejects.toMatchObject({ code: "STORE_FAILED" });
    world.refuseWrites(false);
    expect(asked.map(({ fence }) => fence)).toEqual([null]);
  });

  test("that the host refuses is not noted", async () => {
    world.dataPlane.moves = ({ service, key }) =>
      Promise.reject(new HoldoverError("SESSION_NOT_LIVE", { service, key }));
    const before = (await world.audit()).length;
    expect(await shownAndSaid({ action: "move", key: "lobby" })).toEqual(["SESSION_NOT_LIVE", "SESSION_NOT_LIVE"]);
    expect(await world.audit()).toHaveLength(before);
  });

  test("is shown with where it would go, and what a job does instead", async () => {
    expect((await preview({ action: "move", key: "lobby" })).effects).toEqual([
      "Its 2 connections are asked to come back, and placed anew on v2.",
      "What it has stored goes with it; what its instance holds in memory alone does not.",
    ]);
    world.dataPlane.moves = async () => ({ ...LOBBY, connections: 0 });
    expect((await preview({ action: "move", key: "lobby" })).effects[0]).toBe(
      "It has no connection now; whoever comes back to it is placed anew, on v2.",
    );
    world.dataPlane.moves = async () => ({ ...LOBBY, job: true });
    expect((await preview({ action: "move", key: "lobby" })).effects).toEqual([
      "It is a job of a worker on v1: it is asked to finish, and stays there until it has.",
    ]);
  });
});

import { HoldoverError, type FormatTrialReport, type FormatTrialRequest } from "@holdover/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createControlWorld, definition, type ControlWorld } from "./control-world.ts";

const OPERATOR = "operator";
const ok = (tried: number) => ({ tried, failed: 0, failures: [] });
const wrong = (tried: number, reason: string) => ({
  tried,
  failed: 1,
  failures: [{ version: 1, samples: 1, reason }],
});
const report = (given: Partial<FormatTrialReport["formats"][number]> = {}): FormatTrialReport => ({
  samples: 3,
  untried: [],
  formats: [{ format: "cart", forward: ok(3), back: [{ release: "v1", ...ok(3) }], ...given }],
});

describe("The format gate of a deploy", () => {
  let world: ControlWorld;
  let asked: FormatTrialRequest[];
  beforeEach(async () => {
    asked = [];
    world = await createControlWorld({ rooms: definition({ dir: "/srv/rooms" }) });
    await world.becomes("rooms", "v1", "current");
  });
  afterEach(() => world.dispose());

  const tries = (answer: FormatTrialReport | HoldoverError): void => {
    world.dataPlane.tries = async (request) => {
      asked.push(request);
      if (answer instanceof HoldoverError) throw answer;
      return answer;
    };
  };
  const deploy = (release: string, more: { allowStateLoss?: boolean } = {}) =>
    world.control().deploy("rooms", { release, dir: "/srv/rooms", then: { then: "promote" }, ...more }, OPERATOR);
  const entries = async (kind: string) =>
    (await world.audit())
      .filter((entry) => entry.kind === kind)
      .map(({ release, actor, detail }) => ({ release, actor, detail }));

  it("does not concern a service that keeps nothing: nothing is shown or recorded", async () => {
    expect(world.control().release("rooms", "v1")).not.toHaveProperty("formats");
    expect(await entries("gate.formats")).toEqual([]);
  });

  it("tries the new release beside the one that runs before it gets traffic, and records what it found", async () => {
    tries(report());
    world.dataPlane.setSessions(world.alive()[0] ?? "", 1);
    await deploy("v2");
    const v2 = await world.becomes("rooms", "v2", "current");
    expect(asked).toEqual([{ service: "rooms", release: "v2", others: ["v1"] }]);
    expect(v2.formats).toEqual(report());
    expect(await entries("gate.formats")).toEqual([
      {
        release: "v2",
        actor: "planner",
        detail: { samples: 3, formats: "cart", forwardTried: 3, forwardFailed: 0, backTried: 3, backFailed: 0 },
      },
    ]);
    // A release that comes again is tried again, beside all that could be rolled back to.
    await deploy("v3");
    await world.becomes("rooms", "v3", "current");
    expect(asked[1]?.others.toSorted()).toEqual(["v1", "v2"]);
  });

  it("fails a release that cannot read what sessions keep, whatever was allowed; the one before stays current", async () => {
    tries(report({ forward: wrong(3, "the upgrade from 1 to 2 threw (TypeError)") }));
    await deploy("v2", { allowStateLoss: true });
    const v2 = await world.becomes("rooms", "v2", "failed");
    expect(v2.failure).toMatchObject({
      code: "FORMAT_INCOMPATIBLE",
      problem:
        "Release v2 cannot read what sessions keep: cart of version 1 cannot be read (1 of 3 samples): the upgrade from 1 to 2 threw (TypeError)",
    });
    expect(world.control().release("rooms", "v1").state).toBe("current");
    expect((await entries("gate.formats"))[0]?.detail).toMatchObject({ forwardFailed: 1 });
    expect(await entries("override.used")).toEqual([]);
  });

  it("fails a release from which a rollback would lose state, unless that was allowed, which is recorded", async () => {
    tries(report({ back: [{ release: "v1", ...wrong(3, "no downgrade") }] }));
    await deploy("v2");
    const v2 = await world.becomes("rooms", "v2", "failed");
    expect(v2.failure?.code).toBe("ROLLBACK_LOSES_STATE");
    expect(v2.failure?.problem).toContain("cart of version 1 cannot be read by v1 (1 of 3 samples): no downgrade");
    await deploy("v2", { allowStateLoss: true });
    await world.becomes("rooms", "v2", "current");
    expect(await entries("override.used")).toEqual([
      {
        release: "v2",
        actor: OPERATOR,
        detail: {
          override: "allow-state-loss",
          problem: "cart of version 1 cannot be read by v1 (1 of 3 samples): no downgrade",
        },
      },
    ]);
  });

  it("fails a release whose formats nobody could try, and tries again where only the link was down", async () => {
    tries(new HoldoverError("LINK_DOWN"));
    await deploy("v2");
    await expect.poll(() => asked.length).toBeGreaterThan(1);
    expect(world.control().release("rooms", "v2").state).toBe("starting");
    tries(new HoldoverError("STORE_FAILED", { file: "host.db", problem: "the disk is full" }));
    const v2 = await world.becomes("rooms", "v2", "failed");
    expect(v2.failure).toMatchObject({ code: "FORMAT_TRIAL_FAILED" });
    expect(v2.failure?.problem).toContain("the disk is full");
  });

  it("is told alone of two releases that run, and of no others", async () => {
    tries(report());
    world.dataPlane.setSessions(world.alive()[0] ?? "", 1);
    await deploy("v2");
    await world.becomes("rooms", "v2", "current");
    tries(report({ back: [{ release: "v1", ...wrong(3, "no downgrade") }] }));
    const view = await world.control().compatibility("rooms", "v1", "v2");
    expect(asked.at(-1)).toEqual({ service: "rooms", release: "v2", others: ["v1"] });
    expect(view).toMatchObject({
      reads: true,
      readsBack: false,
      problems: ["cart of version 1 cannot be read by v1 (1 of 3 samples): no downgrade"],
    });
    await expect(world.control().compatibility("rooms", "v1", "v9")).rejects.toMatchObject({ code: "RELEASE_UNKNOWN" });
  });
});

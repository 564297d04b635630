import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sampleRelease } from "../test/sample-service.ts";
import { retained } from "./release.ts";
import { retentionOf } from "./retention.ts";

const release = sampleRelease("v1", retained(1000));

describe("until-empty", () => {
  const policy = { policy: "until-empty" as const, floor: 500 };

  test("keeps the release warm up to its floor, and retires it once it is empty from then on", () => {
    expect(retentionOf(release, policy, 1499)).toEqual({
      verdict: "keep",
      deadlineMs: null,
      floorUntilMs: 1500,
      why: "until empty, and kept warm for a rollback for 500ms",
    });
    expect(retentionOf(release, policy, 1500)).toEqual({
      verdict: "retire",
      deadlineMs: null,
      floorUntilMs: 1500,
      why: "until empty: no session is ended by its age",
    });
  });

  test("never ends a session by its age", () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (floor, nowMs) => {
        expect(retentionOf(release, { policy: "until-empty", floor }, nowMs).verdict).not.toBe("expire");
      }),
    );
  });
});

describe("a fixed window", () => {
  const policy = { policy: "fixed" as const, window: 2000, floor: 500, grace: 100 };

  test.each([
    [1000, "keep"],
    [1499, "keep"],
    [1500, "retire"],
    [2999, "retire"],
    [3000, "expire"],
    [9000, "expire"],
  ])("at %d ms says %s", (nowMs, verdict) => {
    expect(retentionOf(release, policy, nowMs)).toMatchObject({ verdict, deadlineMs: 3000, floorUntilMs: 1500 });
  });

  test("is not made longer by a floor, which ends with it at the latest", () => {
    fc.assert(
      fc.property(fc.nat(5000), fc.nat(5000), fc.nat(12_000), (window, floor, nowMs) => {
        const verdict = retentionOf(release, { policy: "fixed", window, floor, grace: 0 }, nowMs);
        expect(verdict.deadlineMs).toBe(1000 + window);
        expect(verdict.verdict).toBe(nowMs >= 1000 + window ? "expire" : nowMs < 1000 + floor ? "keep" : "retire");
      }),
    );
  });

  test("says how long the window is, and whether the release is kept warm", () => {
    expect(retentionOf(release, policy, 1200).why).toBe("fixed window of 2s, and kept warm for a rollback for 500ms");
    expect(retentionOf(release, policy, 1700).why).toBe("fixed window of 2s");
  });
});

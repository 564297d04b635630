import { beforeEach, describe, expect, test } from "vitest";
import { createManualClock } from "./api-fixture.ts";
import { countFailedCalls, FAILURES_MOST, FAILURES_PERIOD_MS, type FailedCalls } from "./failed-calls.ts";

let clock: ReturnType<typeof createManualClock>;
let over: string[];
let failed: FailedCalls;
beforeEach(() => {
  clock = createManualClock();
  over = [];
  failed = countFailedCalls(clock, (address) => over.push(address));
});

const fill = (address: string) => {
  for (let n = 0; n < FAILURES_MOST; n += 1) expect(failed.add(address)).toBe(false);
};

describe("failed calls", () => {
  test("are counted for each address apart", () => {
    fill("10.0.0.1");
    expect([failed.add("10.0.0.1"), failed.add("10.0.0.2")]).toEqual([true, false]);
    expect(over).toEqual(["10.0.0.1"]);
  });

  test("are forgotten with the end of the period, which later ones do not put off", () => {
    fill("10.0.0.1");
    clock.advance(FAILURES_PERIOD_MS - 1);
    expect(failed.add("10.0.0.1")).toBe(true);
    clock.advance(1);
    expect(failed.add("10.0.0.1")).toBe(false);
  });

  test.each([
    ["2001:db8:0:1::1", "2001:db8:0:1:ffff::2"],
    ["fe80::1%eth0", "fe80::2%eth0"],
    ["::1", "::2"],
  ])("of %s and %s count as one: they are of one network", (one, other) => {
    fill(one);
    expect(failed.add(other)).toBe(true);
  });

  test("of two networks, and of two IPv4 addresses on an IPv6 socket, count apart", () => {
    fill("2001:db8:0:1::1");
    expect(failed.add("2001:db8:0:2::1")).toBe(false);
    fill("::ffff:10.0.0.1");
    expect(failed.add("::ffff:10.0.0.2")).toBe(false);
  });

  test("are remembered of a thousand addresses: one more, and the oldest begins anew", () => {
    fill("first");
    fill("second");
    for (let n = 0; n < 999; n += 1) failed.add(`other ${n}`);
    expect([failed.add("second"), failed.add("first")]).toEqual([true, false]);
  });
});

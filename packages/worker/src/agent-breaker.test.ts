import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Breaker, type Pass, type PassResult } from "./agent-breaker.ts";
import { Tenants } from "./agent-tenants.ts";

const SETTINGS = { inARow: 3, pauseMs: 1000 };

function fail(breaker: Breaker, times: number, nowMs: number): boolean[] {
  return Array.from({ length: times }, () => breaker.giveBack(breaker.take(nowMs), "failure", nowMs));
}

test("opens at the last of so many failures in a row, and a success between them begins anew", () => {
  const breaker = new Breaker(SETTINGS);
  expect(fail(breaker, 2, 0)).toEqual([false, false]);
  breaker.giveBack(breaker.take(0), "success", 0);
  expect(breaker.isUntouched()).toBe(true);
  expect(fail(breaker, 3, 0)).toEqual([false, false, true]);
  expect([breaker.state(999), breaker.admits(999)]).toEqual(["open", false]);
  expect([breaker.state(1000), breaker.admits(1000)]).toEqual(["half-open", true]);
});

test("lets one through after the pause, and goes by that one", () => {
  const breaker = new Breaker(SETTINGS);
  fail(breaker, 3, 0);
  const first = breaker.take(1000);
  expect(breaker.admits(1000)).toBe(false);
  expect(breaker.giveBack(first, "failure", 1500)).toBe(true);
  expect([breaker.state(2499), breaker.state(2500)]).toEqual(["open", "half-open"]);
  const cut = breaker.take(2500);
  breaker.giveBack(cut, "neither", 2600);
  expect([breaker.state(2600), breaker.admits(2600)]).toEqual(["half-open", true]);
  breaker.giveBack(breaker.take(2600), "success", 2700);
  expect([breaker.state(2700), breaker.isUntouched()]).toEqual(["closed", true]);
});

test("does not go by what began before it opened", () => {
  const breaker = new Breaker(SETTINGS);
  const early = [breaker.take(0), breaker.take(0)] as const;
  fail(breaker, 3, 0);
  breaker.giveBack(early[0], "success", 10);
  expect(breaker.state(10)).toBe("open");
  const trial = breaker.take(1000);
  breaker.giveBack(early[1], "failure", 1010);
  expect([breaker.state(1010), breaker.admits(1010)]).toEqual(["half-open", false]);
  breaker.giveBack(trial, "success", 1020);
  expect(breaker.state(1020)).toBe("closed");
});

test("never lets two trials run at once, never admits while it is open, and admits again after any pause", () => {
  const step = fc.record({
    ms: fc.nat({ max: 700 }),
    what: fc.constantFrom("take" as const, "success" as const, "failure" as const, "neither" as const),
    which: fc.nat(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const breaker = new Breaker(SETTINGS);
      const out: Pass[] = [];
      let nowMs = 0;
      let wrong = 0;
      for (const { ms, what, which } of steps) {
        nowMs += ms;
        if (what === "take") {
          if (breaker.admits(nowMs) && breaker.state(nowMs) === "open") wrong += 1;
          if (breaker.admits(nowMs)) out.push(breaker.take(nowMs));
        } else if (out.length > 0) {
          const [pass] = out.splice(which % out.length, 1);
          if (pass) breaker.giveBack(pass, what, nowMs);
        }
        if (out.filter(({ isTrial, turn }) => isTrial && turn === out.at(-1)?.turn).length > 1) wrong += 1;
      }
      expect(wrong).toBe(0);
      for (const pass of out) breaker.giveBack(pass, "neither", nowMs);
      expect(breaker.admits(nowMs + SETTINGS.pauseMs)).toBe(true);
    }),
  );
});

test("tenants are told apart, and counted while they have a session", () => {
  const tenants = new Tenants(2, SETTINGS);
  const passes = [tenants.take("a", 0), tenants.take("a", 0)];
  tenants.take("__proto__", 0);
  expect([tenants.refusal("a", 0), tenants.refusal("b", 0)]).toEqual(["tenant-full", null]);
  expect(tenants.active()).toEqual([
    ["a", 2],
    ["__proto__", 1],
  ]);
  tenants.giveBack("a", passes[0] ?? null, "success", 0);
  expect(tenants.refusal("a", 0)).toBeNull();
});

test("of tenants without a session only those that failed are remembered, the latest 10,000", () => {
  const tenants = new Tenants(null, { inARow: 1, pauseMs: 1000 });
  const end = (tenant: string, result: PassResult) => tenants.giveBack(tenant, tenants.take(tenant, 0), result, 0);
  for (let index = 0; index < 20_000; index += 1) end(`good-${index}`, "success");
  expect(tenants.size).toBe(0);
  const stays = tenants.take("stays", 0);
  for (let index = 0; index < 10_001; index += 1) expect(end(`bad-${index}`, "failure")).toBe(true);
  expect(tenants.size).toBe(10_001);
  expect([tenants.refusal("bad-0", 0), tenants.refusal("bad-1", 0)]).toEqual([null, "tenant-failing"]);
  expect(tenants.active()).toEqual([["stays", 1]]);
  tenants.giveBack("stays", stays, "success", 0);
  expect(tenants.size).toBe(10_000);
});

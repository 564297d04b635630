import type { AuditDraft, Rejection } from "@holdover/core";
import { beforeEach, expect, test } from "vitest";
import { createManualClock } from "./api/api-fixture.ts";
import { createRejectionAudit } from "./rejection-audit.ts";

const REJECTION: Rejection = { instance: "rooms.v1-1", reason: "clock", problem: "its clock is off" };

let clock: ReturnType<typeof createManualClock>;
let drafts: AuditDraft[];
let logged: string[];
let refuse: boolean;
let rejected: (rejection: Rejection) => Promise<void>;
beforeEach(() => {
  clock = createManualClock();
  drafts = [];
  logged = [];
  refuse = false;
  const append = async (added: readonly AuditDraft[]): Promise<void> => {
    if (refuse) throw new Error("disk full");
    drafts.push(...added);
  };
  rejected = createRejectionAudit({ append }, clock, { error: (_fields, message) => void logged.push(message) });
});

const untold = () => drafts.map(({ detail }) => detail?.["untold"]);

test("a refusal is told with whom, why, and how many were not told before it", async () => {
  await rejected(REJECTION);
  expect(drafts).toEqual([
    {
      atMs: clock.now(),
      kind: "worker.rejected",
      actor: "control",
      reason: "its clock is off",
      instance: "rooms.v1-1",
      detail: { reason: "clock", untold: 0 },
    },
  ]);
});

test("those that could not be stored are logged, and counted in the next one that is", async () => {
  refuse = true;
  await rejected(REJECTION);
  await rejected(REJECTION);
  expect([drafts, logged]).toEqual([[], Array(2).fill("a refused worker could not be audited")]);
  refuse = false;
  await rejected(REJECTION);
  expect(untold()).toEqual([2]);
});

test("a minute begins with its first refusal; a clock that is set back ends it", async () => {
  for (let times = 0; times < 7; times += 1) await rejected(REJECTION);
  clock.advance(59_999);
  await rejected(REJECTION);
  expect(untold()).toEqual([0, 0, 0, 0, 0]);
  clock.advance(1);
  await rejected(REJECTION);
  await rejected(REJECTION);
  expect(untold().slice(5)).toEqual([3, 0]);
});

test("of more instances than are told apart in a minute, those that are left out are counted all the same", async () => {
  for (let times = 0; times < 3000; times += 1) await rejected({ ...REJECTION, instance: `x${times}` });
  expect([drafts.length, new Set(untold())]).toEqual([100, new Set([0])]);
  clock.advance(60_000);
  await rejected({ ...REJECTION, instance: "another" });
  expect(drafts.at(-1)?.detail).toEqual({ reason: "clock", untold: 0, othersUntold: 2900 });
  await rejected({ ...REJECTION, instance: "another" });
  expect(drafts.at(-1)?.detail).toEqual({ reason: "clock", untold: 0 });
});

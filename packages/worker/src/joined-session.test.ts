import { HoldoverError, type WorkerCall } from "@holdover/core";
import { expect, test } from "vitest";
import { OwnSession } from "./joined-session.ts";
import { memoryStateLink } from "./state-link.ts";
import { States } from "./states.ts";

function session(call: (call: WorkerCall) => Promise<unknown>): OwnSession {
  const state = new States({ service: "rooms", link: memoryStateLink() }).of({ key: "a", fence: 1 });
  return new OwnSession({ key: "a", fence: 1, label: null, state, call });
}

test("two that attach at once are told the same: a host that refuses holds it for neither", async () => {
  const refused = new HoldoverError("SESSION_NOT_HELD", { service: "rooms", key: "a", instance: "i", fence: 1 });
  const own = session(() => Promise.reject(refused));
  const results = await Promise.allSettled([own.attach(), own.attach()]);
  expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(own.held).toBeNull();
});

test("two that attach at once are one hold, which is left with the last of them", async () => {
  const said: string[] = [];
  const own = session(async ({ name }) => void said.push(name));
  const [first, second] = await Promise.all([own.attach(), own.attach()]);
  await first();
  expect([said, own.held]).toEqual([["attach"], { key: "a", fence: 1, endsWith: false }]);
  await second();
  expect([said, own.held]).toEqual([["attach", "leave"], null]);
});

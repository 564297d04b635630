import { isAlive, type Clock, type Instance } from "@holdover/core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { factsOf } from "./process-table.ts";
import { createSandbox, startReady, systemClock, told, type Sandbox } from "./sandbox.ts";
import type { ProcessPlatform } from "./platform.ts";

let sandbox: Sandbox;

beforeEach(async () => {
  sandbox = await createSandbox();
});

afterEach(async () => {
  await sandbox.dispose();
});

/** The poll of adopted instances never comes: whatever is seen, a look has seen. */
const withoutPoll: Clock = {
  ...systemClock,
  after: (ms, run) => (ms === 50 ? () => undefined : systemClock.after(ms, run)),
};

async function adopted(): Promise<{ platform: ProcessPlatform; one: Instance }> {
  const first = sandbox.platform();
  await first.adopt();
  const one = await startReady(first, sandbox.spec("serve"));
  await first.close();
  const platform = sandbox.platform(withoutPoll);
  await platform.adopt();
  return { platform, one };
}

test("an adopted instance that was killed is lost, and told so, when the look is over", async () => {
  const { platform, one } = await adopted();
  const seen: string[] = [];
  platform.subscribe(() => seen.push(platform.instances()?.[0]?.state.name ?? ""));
  process.kill(Number(one.pid), "SIGKILL");
  while (factsOf(Number(one.pid))?.defunct === false) await new Promise((resolve) => setTimeout(resolve, 1));
  expect(platform.instances()?.[0]?.state.name).toBe("ready");
  await platform.look(one.id);
  expect(seen).toEqual(["lost"]);
  expect(platform.instances()?.[0]?.state).toMatchObject({ exit: { error: "INSTANCE_EXITED", code: null } });
});

test("looks at one time at an adopted instance that is just being killed all end with it lost, once", async () => {
  const { platform, one } = await adopted();
  let calls = 0;
  platform.subscribe(() => (calls += 1));
  process.kill(Number(one.pid), "SIGKILL");
  await Promise.all(Array.from({ length: 5 }, () => platform.look(one.id)));
  expect(platform.instances()?.filter(isAlive)).toEqual([]);
  expect(calls).toBe(1);
});

test("a child that was killed is lost when the look is over, and how it ended is known", async () => {
  const platform = sandbox.platform();
  await platform.adopt();
  const one = await startReady(platform, sandbox.spec("serve"));
  process.kill(Number(one.pid), "SIGKILL");
  await platform.look(one.id);
  expect(platform.instances()?.[0]?.state).toMatchObject({ name: "lost", exit: { code: null, signal: "SIGKILL" } });
});

test("an instance that runs stays as it is, however often it is looked at", async () => {
  const { platform, one } = await adopted();
  const child = await startReady(platform, sandbox.spec("serve"));
  let calls = 0;
  platform.subscribe(() => (calls += 1));
  for (const { id } of [one, child, one]) await platform.look(id);
  expect(platform.instances()?.map(({ state }) => state.name)).toEqual(["ready", "ready"]);
  expect(calls).toBe(0);
  expect((await told(one)).pid).toBe(one.pid);
});

test("a look at an instance that is not known, or has ended, does nothing", async () => {
  const platform = sandbox.platform();
  await platform.adopt();
  const one = await startReady(platform, sandbox.spec("serve"));
  process.kill(Number(one.pid), "SIGKILL");
  await platform.look(one.id);
  const ended = platform.instances();
  await platform.look(one.id);
  await platform.look("web-v1-99");
  expect(platform.instances()).toEqual(ended);
});

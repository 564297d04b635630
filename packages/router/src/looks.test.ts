import { ManualClock } from "@holdover/testkit/manual-clock";
import { MemoryPinStore } from "@holdover/testkit/memory-pin-store";
import { expect, test } from "vitest";
import { connect, release, table } from "../test/sessions-fixture.ts";
import { Sessions } from "./sessions.ts";

interface Opened {
  readonly sessions: Sessions;
  readonly logged: string[];
}

async function open(look?: (instance: string) => Promise<void>): Promise<Opened> {
  const logged: string[] = [];
  const sessions = new Sessions({
    pins: new MemoryPinStore(),
    tableCache: { save: () => {}, load: () => undefined },
    clock: new ManualClock(),
    limit: 100,
    newKey: () => "~1",
    random: () => 0.5,
    ...(look && { look }),
    changed: () => {},
    log: (event) => logged.push(event),
  });
  await sessions.open();
  sessions.apply(table(1, release("v1", "new")));
  return { sessions, logged };
}

test("an unreachable instance that is found dead is told as gone, and its session's next place is on another", async () => {
  const { sessions } = await open((instance) => sessions.lose(instance));
  const first = await connect(sessions, "a");
  expect(await sessions.unreachable(first.hold.instance)).toBe(true);
  expect(first.told).toEqual(["lost"]);
  const second = await connect(sessions, "a");
  expect(second.hold.instance).not.toBe(first.hold.instance);
  expect(second.hold.release).toBe("v1");
  expect(second.hold.fence).toBeGreaterThan(first.hold.fence);
  sessions.close();
});

test("an unreachable instance that is found alive keeps its sessions: a failed connection alone proves nothing", async () => {
  const { sessions } = await open(() => Promise.resolve());
  const { hold, told } = await connect(sessions, "a");
  expect(await sessions.unreachable(hold.instance)).toBe(false);
  expect(told).toEqual([]);
  expect((await connect(sessions, "a")).hold).toMatchObject({ instance: hold.instance, fence: hold.fence });
  sessions.close();
});

test("where nobody can look, an unreachable instance keeps its sessions", async () => {
  const { sessions } = await open();
  expect(await sessions.unreachable("v1-1")).toBe(false);
  sessions.close();
});

test("many that fail at one time are one look and one line in the log; what is gone already is not looked at", async () => {
  const looks: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const { sessions, logged } = await open((instance) => {
    looks.push(instance);
    return promise;
  });
  const all = Promise.all(["v1-1", "v1-1", "v1-2", "v1-1"].map((instance) => sessions.unreachable(instance)));
  await sessions.lose("v1-1");
  resolve();
  expect(await all).toEqual([true, true, false, true]);
  expect(looks).toEqual(["v1-1", "v1-2"]);
  expect(await sessions.unreachable("v1-1")).toBe(true);
  expect(looks).toEqual(["v1-1", "v1-2"]);
  await sessions.unreachable("v1-2");
  expect(looks).toEqual(["v1-1", "v1-2", "v1-2"]);
  expect(logged.filter((event) => event === "instance.unreachable")).toHaveLength(3);
  sessions.close();
});

test("a look that fails is told in the log, and nothing follows from it", async () => {
  const { sessions, logged } = await open(() => Promise.reject(new Error("too many open files")));
  expect(await sessions.unreachable("v1-1")).toBe(false);
  expect(logged).toContain("instance.look.failed");
  sessions.close();
});

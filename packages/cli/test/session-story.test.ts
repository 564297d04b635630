import type { LiveSession, Pin, SessionEvent, SessionList } from "@holdover/core";
import { ManualClock } from "@holdover/testkit/manual-clock";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createControlWorld, definition, type ControlWorld } from "./control-world.ts";

let world: ControlWorld;

beforeEach(async () => {
  world = await createControlWorld({ rooms: definition() }, new ManualClock());
});

afterEach(() => world.dispose());

const pin = (key: string, fence: number, service = "rooms"): Pin => ({
  service,
  key,
  release: "v1",
  instance: `${service}.v1-1`,
  fence,
  openedAtMs: fence * 10,
  label: null,
});

const ended = (seq: number, of: Pin, reason: "hangup" | "cut"): SessionEvent => ({
  seq,
  atMs: seq,
  kind: "ended",
  session: { ...of, reason, endedAtMs: seq, connectionsClosed: 2 },
});

const live = (of: Pin): LiveSession => ({
  ...of,
  state: "open",
  lingeringSinceMs: null,
  connections: 1,
  wedgedSinceMs: null,
});

test("the story of a session is where it lives, its lives that are over, and what was audited of them: of no other", async () => {
  await world.dataPlane.tell("host", [
    ended(20, pin("a", 1), "hangup"),
    ended(30, pin("a", 2), "cut"),
    ended(31, pin("A", 3), "cut"),
    ended(32, pin("a", 4, "chat"), "cut"),
    { seq: 33, atMs: 33, kind: "disrupted", pin: pin("a", 5), connections: 1 },
  ]);
  const now = live(pin("a", 5));
  world.dataPlane.lists = async ({ service, key }) =>
    service === "rooms" && key === "a" ? { sessions: [now], matches: 1 } : { sessions: [], matches: 0 };
  const story = await world.control().session("rooms", "a");
  expect(story).toMatchObject({ service: "rooms", key: "a", live: now });
  expect(story.ended.map(({ fence, reason }) => [fence, reason])).toEqual([
    [2, "cut"],
    [1, "hangup"],
  ]);
  expect(story.entries.map(({ kind, detail }) => [kind, detail?.["fence"]])).toEqual([
    ["session.cut", 2],
    ["session.disrupted", 5],
  ]);
  expect(await world.control().session("rooms", "A")).toMatchObject({ live: null, ended: [{ fence: 3 }] });
});

test("a session of which nothing is known is told as that; while the link is down nobody can say", async () => {
  await expect(world.control().session("rooms", "a")).rejects.toMatchObject({ code: "SESSION_UNKNOWN" });
  await expect(world.control().session("chat", "a")).rejects.toMatchObject({ code: "SERVICE_UNKNOWN" });
  await world.dataPlane.tell("host", [ended(1, pin("a", 1), "hangup")]);
  world.dataPlane.setLinked(false);
  await expect(world.control().session("rooms", "a")).rejects.toMatchObject({ code: "LINK_DOWN" });
});

test("no more than eight searches are asked of the host at once: one more is refused, until one has ended", async () => {
  const waiting: ((list: SessionList) => void)[] = [];
  world.dataPlane.lists = () => new Promise((resolve) => void waiting.push(resolve));
  const searches = Array.from({ length: 8 }, () => world.control().sessions({ search: "a", limit: 1 }));
  await expect(world.control().sessions({ limit: 1 })).rejects.toMatchObject({ code: "CONTROL_BUSY" });
  waiting[0]?.({ sessions: [], matches: 3 });
  expect(await searches[0]).toEqual({ sessions: [], matches: 3 });
  searches.push(world.control().sessions({ limit: 1 }));
  for (const end of waiting) end({ sessions: [], matches: 0 });
  await Promise.all(searches);
});

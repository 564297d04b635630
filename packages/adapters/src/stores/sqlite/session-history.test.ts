import { rmSync } from "node:fs";
import { join } from "node:path";
import type { SessionEvent } from "@holdover/core";
import { expect, it } from "vitest";
import { sessionHistoryConformance } from "@holdover/testkit/conformance/session-history";
import { CONTROL_FILE, controlStoreOn, MAX_ENDED, openControlStore } from "./control-store.ts";
import { openDatabase } from "./database.ts";
import { scratchDir, scratchStore } from "./scratch-store.ts";
import { endedSince } from "./session-history.ts";

const scratch = (maxEnded: number) =>
  scratchStore(CONTROL_FILE, (file) => {
    const { history, audit } = controlStoreOn(file, maxEnded);
    return { history, audit };
  });

sessionHistoryConformance("SQLite", async () => {
  const { store, reopen, refuseWrites, close } = scratch(MAX_ENDED);
  return { ...store, reopen: async () => reopen(), refuseWrites, close };
});

it("The history drops the sessions that came first above its limit, and its totals count on", async () => {
  const { store, close } = scratch(3);
  await store.history.record("host-a", [1, 2].map(ended), () => []);
  await store.history.record("host-a", [3, 4, 5].map(ended), () => []);
  expect((await store.history.ended({}, 10)).map((session) => session.key)).toEqual(["s5", "s4", "s3"]);
  expect((await store.history.totals())[0]?.ended.hangup).toBe(5);
  await close();
});

it("A history of the first format is taken over: its ends are there, without a label", async () => {
  const { format } = CONTROL_FILE;
  const dir = scratchDir();
  const file = join(dir, "control.db");
  const old = openDatabase(file, { ...CONTROL_FILE, format: { ...format, steps: format.steps.slice(0, 1) } });
  old.sql.exec("INSERT INTO ended VALUES (1, 'chat', 'a', 'v1', 'chat-v1-1', 7, 5, 'hangup', 9, 0)");
  old.close();
  const { history, close } = openControlStore(file);
  const later: SessionEvent = ended(20);
  await history.record("host-a", [later], () => []);
  const place = { service: "chat", release: "v1", instance: "chat-v1-1" };
  const first = { ...place, key: "a", fence: 7, openedAtMs: 5, reason: "hangup", endedAtMs: 9, connectionsClosed: 0 };
  expect(await history.ended({}, 10)).toEqual([later.kind === "ended" && later.session, { ...first, label: null }]);
  close();
  rmSync(dir, { recursive: true });
});

it.each([
  ["all", {}, "ended_by_time"],
  ["service", { service: "chat" }, "ended_by_service"],
  ["release", { release: "v1" }, "ended_by_release"],
  ["service and release", { service: "chat", release: "v1" }, "ended_by_release"],
  ["service and key", { service: "chat", key: "a" }, "ended_by_key"],
  ["all three", { service: "chat", release: "v1", key: "a" }, "ended_by_key"],
])("The newest ends by %s are found by an index, without sorting", async (_, filter, index) => {
  const { database, close } = scratch(3);
  const plan = database()
    .sql.prepare(`EXPLAIN QUERY PLAN ${endedSince(filter)}`)
    .all();
  expect(plan.map((row) => row["detail"])).toEqual([expect.stringContaining(`USING INDEX ${index} `)]);
  await close();
});

function ended(seq: number): SessionEvent {
  const place = { release: "v1", instance: "chat-v1-1", fence: seq };
  const pin = { service: "chat", key: `s${seq}`, ...place, openedAtMs: 0, label: null };
  return {
    seq,
    atMs: seq,
    kind: "ended",
    session: { ...pin, reason: "hangup", endedAtMs: seq, connectionsClosed: 0 },
  };
}

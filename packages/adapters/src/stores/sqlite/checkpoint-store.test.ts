import { randomInt } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { CHECKPOINT_QUOTA } from "@holdover/core";
import { expect, it } from "vitest";
import { checkpointStoreConformance } from "@holdover/testkit/conformance/checkpoint-store";
import { checkpointStore } from "./checkpoint-store.ts";
import { openDatabase } from "./database.ts";
import { HOST_FILE, openHostStore } from "./host-store.ts";
import { scratchDir, scratchStore } from "./scratch-store.ts";
import { startChild } from "./store-child.ts";

/** Each round is another process that is killed on the same file. */
const ROUNDS = 4;

checkpointStoreConformance("SQLite", async (quota) => {
  const on = scratchStore(HOST_FILE, (file) => checkpointStore(file, quota));
  const { store, reopen, refuseWrites, close } = on;
  // Another router of the same process: one file has one process.
  return { store, second: checkpointStore(on.database(), quota), reopen: async () => reopen(), refuseWrites, close };
});

it("A host killed at any moment loses no write that it had answered, and leaves none of which only a part is there", async () => {
  const dir = scratchDir();
  const file = join(dir, "host.db");
  let highest = 0;
  for (let round = 1; round <= ROUNDS; round += 1) {
    const child = startChild(
      "openHostStore",
      file,
      `const session = { service: "chat", key: "a", fence: ${round + 1} };
      await store.checkpoints.claim(session);
      say("claimed");
      for (let n = ${highest} + 1; ; n += 1) {
        const bytes = new TextEncoder().encode(String(n) + " ".repeat(n % 3000));
        const entries = ["x", "y", "z"].map((name) => ({ name, format: "count", version: 1, bytes }));
        await store.checkpoints.write({ ...session, entries });
        say(String(n));
      }`,
    );
    await child.lineCount(randomInt(2, 1500));
    await child.kill();
    const answered = Math.max(highest, Number(child.lines.at(-1)));

    const host = openHostStore(file);
    const read = await host.checkpoints.read("chat", "a");
    const stored = (read?.entries ?? []).map(({ bytes }) => Number(new TextDecoder().decode(bytes)));
    const before = { service: "chat", key: "a", fence: round };
    await expect(host.checkpoints.claim(before)).rejects.toMatchObject({ code: "CHECKPOINT_STALE" });
    host.close();
    expect(read?.fence).toBe(round + 1);
    expect(stored).toHaveLength(3);
    expect(new Set(stored).size).toBe(1);
    // The one that was under way may be there too.
    expect([answered, answered + 1]).toContain(stored[0]);
    highest = stored[0] ?? 0;
  }
  rmSync(dir, { recursive: true });
});

it("A full disk refuses a write with STORE_FAILED and takes it once there is room", async () => {
  const { store, database, close } = scratchStore(HOST_FILE, (file) => checkpointStore(file, CHECKPOINT_QUOTA));
  const session = { service: "chat", key: "a", fence: 1 };
  const written = (fill: number) => ({
    ...session,
    entries: ["x", "y"].map((name) => ({ name, format: "f", version: 1, bytes: new Uint8Array(50_000).fill(fill) })),
  });
  await store.claim(session);
  await store.write({ ...session, entries: written(1).entries.slice(0, 1) });
  const before = await store.read("chat", "a");
  const pages = Object.values(database().sql.prepare("PRAGMA page_count").get() ?? {})[0];
  // SQLite's own limit of a file's pages: going over it is the same SQLITE_FULL as that of a full disk.
  database().sql.exec(`PRAGMA max_page_count = ${Number(pages) + 5}`);
  await expect(store.write(written(2))).rejects.toMatchObject({ code: "STORE_FAILED" });
  expect(await store.read("chat", "a")).toEqual(before);
  database().sql.exec("PRAGMA max_page_count = 100000");
  await store.write(written(2));
  expect((await store.read("chat", "a"))?.entries.map(({ bytes }) => bytes[0])).toEqual([2, 2]);
  await close();
});

it("A host file from before there were checkpoints is taken over", async () => {
  const { format } = HOST_FILE;
  const dir = scratchDir();
  const file = join(dir, "host.db");
  openDatabase(file, { ...HOST_FILE, format: { ...format, steps: format.steps.slice(0, 2) } }).close();
  const host = openHostStore(file);
  await host.checkpoints.claim({ service: "chat", key: "a", fence: 1 });
  const entries = [{ name: "x", format: "f", version: 1, bytes: new Uint8Array(3) }];
  await host.checkpoints.write({ service: "chat", key: "a", fence: 1, entries });
  expect(await host.checkpoints.read("chat", "a")).toEqual({ fence: 1, entries });
  host.close();
  rmSync(dir, { recursive: true });
});

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { openHostStore, type HostStore } from "@holdover/adapters/stores/sqlite";
import {
  CHECKPOINT_QUOTA,
  defineSessionFormat,
  type CheckpointStore,
  type SessionClaim,
  type SessionFormatDefinition,
} from "@holdover/core";
import { States, type StateLink } from "@holdover/worker";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const KEY = "room-1";
/** A schema without a library. */
function fits<Value>(holds: (value: Partial<Value>) => boolean): SessionFormatDefinition<Value>["schema"] {
  const issues = [{ message: "it does not fit" }];
  return {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value) => (holds(value as Partial<Value>) ? { value: value as Value } : { issues }),
    },
  };
}
interface Room {
  readonly lines: string[];
}
const isRoom = fits<Room>(({ lines }) => lines?.every((line) => typeof line === "string") === true);
const room = defineSessionFormat({ name: "room", version: 1, schema: isRoom });
const turn = defineSessionFormat({
  name: "turn",
  version: 1,
  schema: fits<number>((value) => typeof value === "number"),
});

let dir: string;
let file: string;
let host: HostStore;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "holdover-state-"));
  file = join(dir, "host.db");
  host = openHostStore(file);
});
afterEach(() => {
  host.close();
  rmSync(dir, { recursive: true });
});

/** The host's end of the worker link, without the link. */
function linkTo(store: Pick<CheckpointStore, "claim" | "read" | "write">, older: readonly number[] = []): StateLink {
  return {
    open: async (session: SessionClaim) => {
      await store.claim(session);
      return store.read(session.service, session.key);
    },
    write: async (write) => store.write(write),
    olderVersions: () => older,
  };
}

const instance = (link: StateLink = linkTo(host.checkpoints)) => new States({ service: "chat", link, warn: () => {} });

describe("The state of sessions in the host's store", () => {
  it("of two owners that both believe they own the session, the one with the lower fence changes nothing", async () => {
    const old = instance().of({ key: KEY, fence: 7 });
    await old.write(room, { lines: ["of the old one"] });
    const owner = instance().of({ key: KEY, fence: 8 });
    expect(await owner.read(room)).toEqual({ lines: ["of the old one"] });
    // Nothing was written under the new fence yet: that it was claimed is enough.
    const refused = old.write(room, { lines: ["too late"] });
    await expect(refused).rejects.toMatchObject({ code: "CHECKPOINT_STALE", details: { key: KEY, fence: 7 } });
    expect(old.lost.reason).toMatchObject({ code: "CHECKPOINT_STALE" });
    await owner.write(room, { lines: ["of the new one"] });
    await expect(old.read(room)).rejects.toBe(old.lost.reason);
    await expect(old.write(turn, 1)).rejects.toBe(old.lost.reason);
    expect(await owner.read(room)).toEqual({ lines: ["of the new one"] });
    expect(await owner.read(turn)).toBeUndefined();
    expect(owner.lost.aborted).toBe(false);
  });

  it("of two owners that write over and over at once, all that the last one was acknowledged is there", async () => {
    const acknowledged = new Map<number, number>();
    const writers = [3, 4, 5].map(async (fence) => {
      const state = instance().of({ key: KEY, fence });
      for (let n = 0; n < 50 && !state.lost.aborted; n += 1) {
        const written = await state.write(turn, fence * 1000 + n).then(
          () => true,
          () => false,
        );
        if (written) acknowledged.set(fence, fence * 1000 + n);
      }
    });
    await Promise.all(writers);
    expect(acknowledged.get(5)).toBe(5049);
    expect(await instance().of({ key: KEY, fence: 6 }).read(turn)).toBe(5049);
  });

  it("with a slow store nothing resolves before it is durable, and what waits beyond a thousand calls is refused", async () => {
    const hold = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    const { checkpoints } = host;
    const slow = linkTo({
      claim: (session) => checkpoints.claim(session),
      read: (service, key) => checkpoints.read(service, key),
      write: async (write) => {
        reached.resolve();
        await hold.promise;
        await checkpoints.write(write);
      },
    });
    const state = instance(slow).of({ key: KEY, fence: 1 });
    let resolved = 0;
    const first = state.write(turn, 0).then(() => (resolved += 1));
    await reached.promise;
    const others = Array.from({ length: 999 }, (_, index) => state.write(turn, index + 1).then(() => (resolved += 1)));
    await expect(state.write(turn, -1)).rejects.toMatchObject({ code: "CHECKPOINT_BACKLOG" });
    expect(resolved).toBe(0);
    expect(await checkpoints.read("chat", KEY)).toBeUndefined();
    hold.resolve();
    await Promise.all([first, ...others]);
    expect(resolved).toBe(1000);
    expect(await instance().of({ key: KEY, fence: 2 }).read(turn)).toBe(999);
  });

  it("what is over the quota is refused with its sizes, and all that was acknowledged before stays", async () => {
    const state = instance().of({ key: KEY, fence: 1 });
    await state.write(room, { lines: ["kept"] });
    const tooLong = { lines: ["x".repeat(CHECKPOINT_QUOTA.entryBytes)] };
    await expect(state.write(room, tooLong)).rejects.toMatchObject({
      code: "CHECKPOINT_TOO_LARGE",
      details: { problem: "entry room has 262158 bytes, and 262144 are allowed" },
    });
    const big = { lines: ["x".repeat(200 * 1024)] };
    const full = [1, 2, 3, 4, 5, 6].map((n) => state.write(room, big, { name: `big ${n}` }));
    const settled = await Promise.allSettled(full);
    // They were one store write: all or none of it.
    expect(settled.map(({ status }) => status)).toEqual(Array.from({ length: 6 }, () => "rejected"));
    for (let n = 1; n <= 5; n += 1) await state.write(room, big, { name: `big ${n}` });
    await expect(state.write(room, big, { name: "big 6" })).rejects.toMatchObject({ code: "CHECKPOINT_TOO_LARGE" });
    expect(await state.read(room)).toEqual({ lines: ["kept"] });
    expect(await state.read(room, { name: "big 5" })).toEqual(big);
    expect(state.lost.aborted).toBe(false);
  });

  it("an upgrade that throws, or a version from a newer release, is an error to the application and changes nothing", async () => {
    await instance()
      .of({ key: KEY, fence: 1 })
      .write(room, { lines: ["a"] });
    const broken = defineSessionFormat({
      name: "room",
      version: 2,
      schema: isRoom,
      upgrade: {
        1: () => {
          throw new Error("no such field");
        },
      },
    });
    const state = instance().of({ key: KEY, fence: 2 });
    await expect(state.read(broken)).rejects.toMatchObject({
      code: "FORMAT_FAILED",
      details: { problem: "the upgrade from 1 to 2 threw: no such field" },
    });
    expect(await state.read(room)).toEqual({ lines: ["a"] });
    const newer = defineSessionFormat({ name: "room", version: 3, schema: fits<unknown>(() => true) });
    await instance().of({ key: KEY, fence: 3 }).write(newer, { lines: [], of: "tomorrow" });
    const back = instance().of({ key: KEY, fence: 4 });
    await expect(back.read(room)).rejects.toMatchObject({
      code: "FORMAT_UNKNOWN",
      details: { format: "room", version: 3, problem: "version 1 is the newest that this release knows" },
    });
    expect(back.lost.aborted).toBe(false);
    expect(await instance().of({ key: KEY, fence: 5 }).read(newer)).toEqual({ lines: [], of: "tomorrow" });
  });

  it("v1, v2, a rollback to v1, and v2 again: nothing that was acknowledged is lost, and nothing stale is read", async () => {
    const numbered = defineSessionFormat({
      name: "room",
      version: 2,
      schema: fits<{ lines: { n: number; text: string }[] }>(({ lines }) => lines?.every(({ text }) => text) === true),
      upgrade: { 1: ({ lines }: { lines: string[] }) => ({ lines: lines.map((text, n) => ({ n, text })) }) },
      downgrade: {
        2: ({ lines }: { lines: { text: string }[] }) => ({ lines: lines.map(({ text }) => text) }),
      },
    });
    const said: string[] = [];
    let fence = 0;
    const asV1 = async (text: string): Promise<void> => {
      const state = instance().of({ key: KEY, fence: ++fence });
      const now = (await state.read(room)) ?? { lines: [] };
      expect(now.lines).toEqual(said);
      await state.write(room, { lines: [...now.lines, text] });
      said.push(text);
    };
    const asV2 = async (text: string): Promise<void> => {
      const state = instance(linkTo(host.checkpoints, [1])).of({ key: KEY, fence: ++fence });
      const now = (await state.read(numbered)) ?? { lines: [] };
      expect(now.lines.map((line) => line.text)).toEqual(said);
      await state.write(numbered, { lines: [...now.lines, { n: now.lines.length, text }] });
      said.push(text);
    };
    for (const release of [asV1, asV2, asV2, asV1, asV1, asV2, asV1, asV2]) await release(`line ${said.length}`);
    expect(said).toHaveLength(8);
  });

  it("a host that is killed between acknowledged writes has all of them", async () => {
    host.close();
    const program = `
      import { writeSync } from "node:fs";
      import { openHostStore } from "@holdover/adapters/stores/sqlite";
      import { defineSessionFormat } from "@holdover/core";
      import { States } from "@holdover/worker";
      const { checkpoints } = openHostStore(${JSON.stringify(file)});
      const link = {
        open: async (session) => (await checkpoints.claim(session), checkpoints.read(session.service, session.key)),
        write: (write) => checkpoints.write(write),
        olderVersions: () => [],
      };
      const schema = { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } };
      const turn = defineSessionFormat({ name: "turn", version: 1, schema });
      const states = new States({ service: "chat", link });
      for (let n = 1; ; n += 1) {
        const session = { key: "room-" + (n % 7), fence: 1 };
        await states.of(session).write(turn, n);
        writeSync(1, session.key + " " + n + "\\n");
      }`;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
      stdio: ["ignore", "pipe", "inherit"],
      cwd: import.meta.dirname,
    });
    const acknowledged = new Map<string, number>();
    let count = 0;
    const reader = createInterface({ input: child.stdout });
    const gone = Promise.all([once(child, "close"), once(reader, "close")]);
    reader.on("line", (line) => {
      const [key = "", n] = line.split(" ");
      acknowledged.set(key, Number(n));
      count += 1;
      if (count === 500) child.kill("SIGKILL");
    });
    await gone;
    expect(count).toBeGreaterThanOrEqual(500);
    host = openHostStore(file);
    for (const [key, n] of acknowledged) {
      const found = await instance().of({ key, fence: 2 }).read(turn);
      // The write that was not acknowledged any more may be there as well.
      expect([n, n + 7]).toContain(found);
    }
  });
});

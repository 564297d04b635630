import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setImmediate as turn } from "node:timers/promises";
import { HoldoverError, type PinStore, type SessionEvent } from "@holdover/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CONTROL_FILE, controlStoreOn, MAX_ENDED, openControlStore } from "./control-store.ts";
import { openDatabase } from "./database.ts";
import { HOST_FILE, hostStoreOn, MAX_EVENTS, openHostStore } from "./host-store.ts";
import { scratchDir, scratchStore } from "./scratch-store.ts";
import { startChild } from "./store-child.ts";

let dir: string;
let file: string;
beforeEach(() => {
  dir = scratchDir();
  file = join(dir, "store.db");
});
afterEach(() => rmSync(dir, { recursive: true }));

describe("A file of a store", () => {
  it("can be read by its owner only, its log too, whatever the umask is", async () => {
    const before = process.umask(0);
    try {
      const { pins, close } = openHostStore(file);
      await placeMany(pins, 1);
      const modes = readdirSync(dir).map((name) => [name, statSync(join(dir, name)).mode & 0o777]);
      expect(modes).toEqual([
        ["store.db", 0o600],
        ["store.db-wal", 0o600],
      ]);
      close();
    } finally {
      process.umask(before);
    }
  });

  it("leaves nothing beside it once it is closed, which may be done twice", async () => {
    const { pins, close } = openHostStore(file);
    await placeMany(pins, 1);
    close();
    close();
    await pins.close();
    expect(readdirSync(dir)).toEqual(["store.db"]);
  });

  it("tells how large it is on disk, its log included", async () => {
    const host = openHostStore(file);
    const before = host.health();
    await placeMany(host.pins, 1000);
    const bytes = readdirSync(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);
    expect(host.health()).toEqual({ bytes, failures: 0, problem: null });
    expect(bytes).toBeGreaterThan(before.bytes);
    host.close();
  });

  it("takes no more writes once it is closed", async () => {
    const host = openHostStore(file);
    host.close();
    await expect(placeMany(host.pins, 1)).rejects.toMatchObject({ code: "STORE_FAILED", details: { file } });
    await expect(host.pins.pins()).rejects.toMatchObject({ code: "STORE_FAILED", details: { file } });
  });

  it("is refused with STORE_FAILED where it cannot be created or is none", () => {
    const missing = join(dir, "missing", "store.db");
    expect(failureOf(() => openHostStore(missing))).toMatchObject({ code: "STORE_FAILED", details: { file: missing } });
    mkdirSync(file);
    expect(failureOf(() => openControlStore(file))).toMatchObject({ code: "STORE_FAILED", details: { file } });
  });

  // Root may write to everything.
  it.skipIf(process.getuid?.() === 0)("is refused with STORE_FAILED where it may not be written", () => {
    openHostStore(file).close();
    chmodSync(file, 0o400);
    expect(failureOf(() => openHostStore(file))).toMatchObject({ code: "STORE_FAILED", details: { file } });
  });
});

describe("The lock of a file", () => {
  it("keeps a second host out with ALREADY_RUNNING, and ends with the process that dies", async () => {
    const child = startChild("openHostStore", file, `say("open"); await told();`);
    await child.line("open");
    expect(failureOf(() => openHostStore(file))).toMatchObject({ code: "ALREADY_RUNNING", details: { stateDir: dir } });
    await child.kill();
    openHostStore(file).close();
  });

  it("is there on a file that was opened before, and against a second opening by the same process", async () => {
    openHostStore(file).close();
    const host = openHostStore(file);
    expect(failureOf(() => openHostStore(file))).toMatchObject({ code: "ALREADY_RUNNING" });
    const child = startChild("openHostStore", file, `say("open");`);
    await child.ended;
    expect(child.lines).toEqual(["ALREADY_RUNNING"]);
    host.close();
  });

  it("is waited for by control while the one before it is just ending", async () => {
    const child = startChild("openControlStore", file, `say("open"); await told(); setTimeout(store.close, 200);`);
    await child.line("open");
    child.tell();
    const control = openControlStore(file);
    expect(await control.releases.tableNumber()).toBe(0);
    control.close();
    await child.ended;
  });

  it("is not waited for longer than it was said", async () => {
    const control = openControlStore(file);
    const opening = (): unknown => openDatabase(file, { ...CONTROL_FILE, waitMs: 50 });
    expect(failureOf(opening)).toMatchObject({ code: "ALREADY_RUNNING", details: { stateDir: dir } });
    control.close();
  });
});

describe("A file that cannot be used", () => {
  /** Opens the file as host, and holds that this failed and left everything as it was. */
  function refusal(): unknown {
    const files = (): unknown =>
      readdirSync(dir)
        // SQLite's scratch file for readers of a log: it says nothing and is made anew at any time.
        .filter((name) => !name.endsWith("-shm"))
        .map((name) => [
          name,
          createHash("sha256")
            .update(readFileSync(join(dir, name)))
            .digest("hex"),
        ]);
    const before = files();
    const failure = failureOf(() => openHostStore(file));
    expect(files()).toEqual(before);
    return failure;
  }
  const corrupt = { code: "STORE_CORRUPT", details: { file, problem: expect.any(String) } };
  beforeEach(() => {
    corrupt.details.file = file;
  });

  async function filled(): Promise<void> {
    const { pins, close } = openHostStore(file);
    await placeMany(pins, 500);
    close();
  }

  /** Overwrites with what is no page of a database. */
  function damage(position: number): void {
    const handle = openSync(file, "r+");
    writeSync(handle, Buffer.alloc(3000, 0x5a), 0, 3000, position);
    closeSync(handle);
  }

  it("because a newer Holdover wrote it gives STORE_NEWER and stays as it is", async () => {
    await filled();
    withConnection(file, "PRAGMA user_version = 99");
    expect(refusal()).toMatchObject({
      code: "STORE_NEWER",
      details: { file, found: 99, known: HOST_FILE.format.steps.length },
    });
  });

  it("because it is no database gives STORE_CORRUPT and stays as it is", () => {
    writeFileSync(file, "listen: 127.0.0.1:8080\n".repeat(500));
    expect(refusal()).toMatchObject(corrupt);
    writeFileSync(file, Buffer.alloc(8192, 0xff));
    expect(refusal()).toMatchObject(corrupt);
  });

  it("because its header is damaged gives STORE_CORRUPT and stays as it is", async () => {
    await filled();
    damage(0);
    expect(refusal()).toMatchObject(corrupt);
  });

  it("because it was truncated gives STORE_CORRUPT and stays as it is", async () => {
    await filled();
    const content = readFileSync(file);
    for (const bytes of [50, 100, 511, 512, 1000, 4095, 4096, 5000, content.length - 4096, content.length - 1000]) {
      writeFileSync(file, content.subarray(0, bytes));
      expect(refusal(), `${bytes} of ${content.length} bytes`).toMatchObject(corrupt);
    }
  });

  it("because a page in its middle is damaged gives STORE_CORRUPT and stays as it is", async () => {
    await filled();
    damage(5 * 4096);
    expect(refusal()).toMatchObject(corrupt);
  });

  it("because another program made it gives STORE_CORRUPT and stays as it is", () => {
    withConnection(file, "CREATE TABLE recipes (name TEXT); PRAGMA user_version = 1");
    expect(refusal()).toMatchObject(corrupt);
  });

  it("because it is the file of control gives STORE_CORRUPT and stays as it is", () => {
    openControlStore(file).close();
    expect(refusal()).toMatchObject(corrupt);
  });

  it("because it was damaged after a crash keeps the log of the crashed process as well", async () => {
    await filled();
    const child = startChild("openHostStore", file, `await place("late"); say("placed"); await told();`);
    await child.line("placed");
    await child.kill();
    expect(readdirSync(dir)).toContain("store.db-wal");
    // More pages than the one pin has in the log: what the log replaces is not damaged.
    for (const page of [4, 5, 6, 7]) damage(page * 4096);
    expect(refusal()).toMatchObject(corrupt);
  });
});

describe("Steps from one format to the next", () => {
  const format = { name: "test", applicationId: 77, steps: ["CREATE TABLE a (x INTEGER) STRICT"] };
  const options = { format, synchronous: "NORMAL", waitMs: 0 } as const;
  const withSteps = (...more: string[]) => ({ ...options, format: { ...format, steps: [...format.steps, ...more] } });

  it("are taken once, and keep what is stored", () => {
    const first = openDatabase(file, options);
    first.sql.exec("INSERT INTO a VALUES (1)");
    first.close();
    const more = withSteps("ALTER TABLE a ADD COLUMN y INTEGER", "UPDATE a SET y = x + 1");
    openDatabase(file, more).close();
    const again = openDatabase(file, more);
    expect({ ...again.sql.prepare("SELECT * FROM a").get() }).toEqual({ x: 1, y: 2 });
    again.close();
    expect(failureOf(() => openDatabase(file, options))).toMatchObject({ code: "STORE_NEWER" });
  });

  it("that fail leave the file at the step before, as a whole", () => {
    openDatabase(file, options).close();
    const failing = withSteps("CREATE TABLE b (x INTEGER); INSERT INTO missing VALUES (1)");
    expect(failureOf(() => openDatabase(file, failing))).toMatchObject({ code: "STORE_FAILED", details: { file } });
    const database = openDatabase(file, options);
    const tables = database.sql.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
    expect(tables.map((row) => row["name"])).toEqual(["a"]);
    database.close();
  });
});

describe("A change", () => {
  it("that throws is taken back whole, the error is the thrower's own, and the next change is stored", async () => {
    const opened = scratchStore(HOST_FILE, ({ sql, write }) => ({ sql, write }));
    const { sql, write } = opened.store;
    const count = (): unknown => sql.prepare("SELECT count(*) AS rows FROM routing_table").get()?.["rows"];
    const fault = new Error("thrown by this test");
    const failing = (): unknown =>
      write(() => {
        sql.exec("INSERT INTO routing_table VALUES (1, 'never')");
        throw fault;
      });
    expect(failing).toThrow(fault);
    expect(count()).toBe(0);
    write(() => sql.exec("INSERT INTO routing_table VALUES (1, 'stored')"));
    expect(count()).toBe(1);
    await opened.close();
  });
});

describe("A full disk", () => {
  const full = { code: "STORE_FAILED", details: { problem: "database or disk is full" } };

  it("refuses pins with STORE_FAILED, keeps those that were acknowledged, and takes new ones when space is back", async () => {
    const opened = scratchStore(HOST_FILE, (database) => hostStoreOn(database, MAX_EVENTS).pins);
    const pins = opened.store;
    const space = pagesOf(opened.database().sql);
    await placeMany(pins, 100);
    space.limitTo(space.used() + 2);
    expect(opened.database().health().failures).toBe(0);
    await expect(placeMany(pins, 1000, "more")).rejects.toMatchObject(full);
    expect(opened.database().health().failures).toBe(1);
    const acknowledged = await pins.pins();
    expect(acknowledged.length).toBeGreaterThan(99);
    const ends = acknowledged.map((pin) => ({
      ...pin,
      reason: "hangup" as const,
      endedAtMs: 1,
      connectionsClosed: 0,
    }));
    await expect(pins.end(ends, 1)).rejects.toMatchObject(full);
    expect(await pins.pins()).toEqual(acknowledged);
    expect(await pins.events(10)).toEqual([]);
    space.limitTo(100_000);
    expect(await pins.end(ends, 1)).toHaveLength(acknowledged.length);
    await placeMany(pins, 1000, "again");
    expect(await opened.reopen().pins()).toHaveLength(1000);
    await opened.close();
  });

  it("refuses a change of control with STORE_FAILED, and the audit chain goes on when space is back", async () => {
    const opened = scratchStore(CONTROL_FILE, (database) => controlStoreOn(database, MAX_ENDED));
    const { audit, history } = opened.store;
    const space = pagesOf(opened.database().sql);
    const batch = Array.from({ length: 500 }, (_, index) => endedEvent(index + 1));
    const auditOf = (event: SessionEvent) => [
      { atMs: 1, kind: "session.cut", actor: "host", reason: `n ${event.seq}` },
    ];
    space.limitTo(space.used() + 2);
    await expect(history.record("host-a", batch, auditOf)).rejects.toMatchObject(full);
    expect(await history.totals()).toEqual([]);
    expect((await audit.verify()).seq).toBe(0);
    space.limitTo(100_000);
    expect(await history.record("host-a", batch, auditOf)).toBe(500);
    expect((await audit.verify()).seq).toBe(500);
    await opened.close();
  });

  it("is told as the problem of the store until a change is stored", async () => {
    const opened = scratchStore(CONTROL_FILE, (database) => controlStoreOn(database, MAX_ENDED));
    const { audit, health } = opened.store;
    const space = pagesOf(opened.database().sql);
    const entry = [{ atMs: 1, kind: "note", actor: "a", reason: "x".repeat(100_000) }];
    expect(health().problem).toBeNull();
    space.limitTo(space.used() + 2);
    await expect(audit.append(entry)).rejects.toMatchObject(full);
    expect(health()).toMatchObject({ failures: 1, problem: "database or disk is full" });
    space.limitTo(100_000);
    await audit.append(entry);
    expect(health()).toMatchObject({ failures: 1, problem: null });
    await opened.close();
  });

  it("does not take an error of its caller for a problem of its own", async () => {
    const opened = scratchStore(CONTROL_FILE, (database) => controlStoreOn(database, MAX_ENDED));
    const mistake = new Error("a defect of the caller");
    const auditOf = (): never => {
      throw mistake;
    };
    await expect(opened.store.history.record("host-a", [endedEvent(1)], auditOf)).rejects.toThrow(mistake);
    expect(opened.store.health().problem).toBeNull();
    await opened.close();
  });
});

function failureOf(action: () => unknown): unknown {
  try {
    action();
  } catch (thrown) {
    if (thrown instanceof HoldoverError) return thrown;
    throw thrown;
  }
  throw new Error("it did not fail");
}

function withConnection(file: string, statements: string): void {
  const sql = new DatabaseSync(file);
  sql.exec(statements);
  sql.close();
}

async function placeMany(pins: PinStore, count: number, prefix = "room"): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    const key = `${prefix}-${index}`;
    const place = { release: "v1", instance: "chat-v1-1" };
    await pins.place({ service: "chat", key, ...place, openedAtMs: 1, label: null }, null, 1);
  }
}

/** SQLite's own limit of a file's pages: going over it is the same SQLITE_FULL as that of a full disk. */
function pagesOf(sql: DatabaseSync) {
  return {
    used: () => Number(sql.prepare("PRAGMA page_count").get()?.["page_count"]),
    limitTo: (pages: number) => sql.exec(`PRAGMA max_page_count = ${pages}`),
  };
}

function endedEvent(seq: number): SessionEvent {
  const place = { release: "v1", instance: "chat-v1-1", fence: seq };
  const pin = { service: "chat", key: `s${seq}`, ...place, openedAtMs: 0, label: null };
  return { seq, atMs: 1, kind: "ended", session: { ...pin, reason: "cut", endedAtMs: 1, connectionsClosed: 1 } };
}

describe("A copy of a file that is in use", () => {
  it("is whole, of one moment, and takes in what was answered before, while it goes on being written", async () => {
    const { pins, copyTo, close } = openHostStore(file);
    await placeMany(pins, 5000);
    const copy = join(dir, "copy.db");
    const copied = new AbortController();
    const copying = copyTo(copy).finally(() => copied.abort());
    let written = 0;
    for (; !copied.signal.aborted; written += 1) {
      await placeMany(pins, 1, `later-${written}`);
      await turn();
    }
    await copying;
    expect(written).toBeGreaterThan(0);
    close();
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    const read = new DatabaseSync(copy, { readOnly: true });
    try {
      expect(read.prepare("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
      const keys = read
        .prepare("SELECT key FROM pins")
        .all()
        .map(({ key }) => String(key));
      const later = keys.filter((key) => key.startsWith("later-"));
      expect(keys.length - later.length).toBe(5000);
      // Of those that came meanwhile, all up to some moment.
      expect(later.toSorted()).toEqual(later.map((_, index) => `later-${index}-0`).toSorted());
    } finally {
      read.close();
    }
    openHostStore(copy).close();
  });

  it("never replaces what is there, and leaves nothing behind where it cannot be written", async () => {
    const { copyTo, close } = openHostStore(file);
    const copy = join(dir, "copy.db");
    writeFileSync(copy, "mine");
    await expect(copyTo(copy)).rejects.toMatchObject({ code: "BACKUP_FAILED" });
    expect(readFileSync(copy, "utf8")).toBe("mine");
    await expect(copyTo(join(dir, "none", "copy.db"))).rejects.toMatchObject({ code: "BACKUP_FAILED" });
    expect(readdirSync(dir).filter((name) => name.startsWith("copy"))).toEqual(["copy.db"]);
    close();
    const closed = join(dir, "closed.db");
    await expect(copyTo(closed)).rejects.toMatchObject({ code: "BACKUP_FAILED" });
    expect(readdirSync(dir)).not.toContain("closed.db");
  });
});

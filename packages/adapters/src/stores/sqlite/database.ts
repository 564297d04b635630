import { closeSync, openSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { backup, DatabaseSync, type StatementSync } from "node:sqlite";
import { HoldoverError, problemOf, type StoreHealth } from "@holdover/core";
import { changeFailure, openFailure, readFailure } from "./failure.ts";
import { checkFormat, migrate, type Format } from "./format.ts";

/** One SQLite file that this process has for itself. */
export interface Database {
  readonly file: string;
  readonly sql: DatabaseSync;
  /**
   * Runs a change as one transaction: all of it is stored, or nothing.
   * @throws HoldoverError STORE_FAILED
   */
  readonly write: <T>(change: () => T) => T;
  /** @throws HoldoverError STORE_CORRUPT where what is stored cannot be read, STORE_FAILED after `close` */
  readonly read: <T>(query: () => T) => T;
  readonly health: () => StoreHealth;
  /**
   * Copies all of it, as it is at one moment, while it goes on being read and written: a few pages at a time, in another
   * thread. Whoever opens the copy finds a whole database.
   * @param file must not be there yet
   * @throws HoldoverError BACKUP_FAILED; then nothing is left of the copy
   */
  readonly copyTo: (file: string) => Promise<void>;
  /** Does nothing the second time. */
  readonly close: () => void;
}

export interface OpenOptions {
  readonly format: Format;
  /** `NORMAL`: a commit survives the end of the process. `FULL`: it survives a power cut too. */
  readonly synchronous: "NORMAL" | "FULL";
  /** How long to wait for another process that has the file. The thread stands still meanwhile. */
  readonly waitMs: number;
}

/** Bytes that the log may keep on disk once its content is in the database: one big batch must not hold space for ever. */
const LOG_KEPT_BYTES = 16 * 1024 * 1024;

/**
 * After so many commits the log's content is carried over into the database, with two waits for the disk, once the turn is
 * over: who waits for a commit of that turn need not wait for that too. SQLite does it by itself after 1,000 pages, in the
 * middle of a commit, where no turn ends before that.
 */
const CARRIED_OVER_COMMITS = 128;

/** Between so many pages of a copy others have their turn. */
const COPIED_PAGES = 100;

const SMALLEST_PAGE_BYTES = 512;

/**
 * Opens a file, or creates it (mode 0600; SQLite gives its -wal the mode of the file), and locks it for this process.
 *
 * The lock is the kernel's and ends with the process, however it dies. It also ends when this process opens the same
 * file in any other way and closes that again (POSIX has it so): never touch the file with `fs` while it is open here.
 *
 * @throws HoldoverError ALREADY_RUNNING, STORE_CORRUPT, STORE_NEWER, STORE_FAILED; the file is then as it was
 */
export function openDatabase(file: string, options: OpenOptions): Database {
  const { format, synchronous, waitMs } = options;
  let sql: DatabaseSync | undefined;
  try {
    createPrivately(file);
    refuseFragment(file);
    const inspected = hasContent(`${file}-wal`);
    if (inspected) inspect(file, options);
    sql = new DatabaseSync(file, { timeout: waitMs });
    // Exclusive before the first access: the lock is taken once, kept, and there is no -shm.
    sql.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT");
    checkFormat(sql, file, format, { thorough: !inspected });
    sql.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}`);
    sql.exec(`PRAGMA journal_size_limit = ${LOG_KEPT_BYTES}`);
    if (inspected) rmSync(`${file}-shm`, { force: true });
    const database = handleOf(file, sql);
    migrate(sql, database.write, format);
    return database;
  } catch (thrown) {
    sql?.close();
    throw openFailure(file, thrown);
  }
}

/** Makes a file that only its owner can read. An existing one keeps its mode: it may have been widened on purpose. */
function createPrivately(file: string): void {
  try {
    createNew(file);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "EEXIST") throw thrown;
  }
}

function createNew(file: string): void {
  closeSync(openSync(file, "wx", 0o600));
}

/** SQLite takes the beginning of a database for an empty one, and would write a new one over it. */
function refuseFragment(file: string): void {
  const { size } = statSync(file);
  if (size === 0 || size >= SMALLEST_PAGE_BYTES) return;
  throw new HoldoverError("STORE_CORRUPT", { file, problem: `only ${size} bytes are left of it` });
}

function hasContent(file: string): boolean {
  return bytesOf(file) > 0;
}

function bytesOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

/**
 * Looks at a file whose last owner did not close it. A connection that may write would carry the log into the database
 * when it is closed, even if it has just found the database damaged; this one cannot, so the evidence stays as it is.
 * It leaves a -shm, which only the holder of the lock can take away safely.
 */
function inspect(file: string, options: OpenOptions): void {
  const sql = new DatabaseSync(file, { readOnly: true, timeout: options.waitMs });
  try {
    checkFormat(sql, file, options.format, { thorough: true });
  } finally {
    sql.close();
  }
}

function handleOf(file: string, sql: DatabaseSync): Database {
  const begin = sql.prepare("BEGIN IMMEDIATE");
  const commit = sql.prepare("COMMIT");
  const rollback = sql.prepare("ROLLBACK");

  const carryOver = sql.prepare("PRAGMA wal_checkpoint(PASSIVE)");
  let commits = 0;
  let failures = 0;
  let problem: string | null = null;

  /** Errors of the caller pass through here too. */
  function failed(thrown: unknown): unknown {
    if (thrown instanceof HoldoverError && (thrown.code === "STORE_FAILED" || thrown.code === "STORE_CORRUPT")) {
      failures += 1;
      problem = problemOf(thrown.cause);
    }
    return thrown;
  }

  function committed(): void {
    commits += 1;
    if (commits !== CARRIED_OVER_COMMITS) return;
    setImmediate(() => {
      commits = 0;
      try {
        if (sql.isOpen) carryOver.get();
      } catch {
        // It stays in the log, where it is safe, until the next time.
      }
    }).unref();
  }

  function write<T>(change: () => T): T {
    try {
      begin.run();
      const result = change();
      commit.run();
      committed();
      problem = null;
      return result;
    } catch (thrown) {
      // On some failures, a full disk among them, SQLite has already rolled back by itself.
      if (sql.isOpen && sql.isTransaction) rollback.run();
      throw failed(changeFailure(file, thrown));
    }
  }

  function read<T>(query: () => T): T {
    try {
      return query();
    } catch (thrown) {
      throw failed(readFailure(file, thrown));
    }
  }

  return {
    file,
    sql,
    write,
    read,
    copyTo: async (to) => {
      try {
        createNew(to);
      } catch (cause) {
        throw new HoldoverError("BACKUP_FAILED", { dir: dirname(to), problem: problemOf(cause) }, { cause });
      }
      try {
        await backup(sql, to, { rate: COPIED_PAGES });
      } catch (cause) {
        for (const part of [to, `${to}-wal`, `${to}-shm`, `${to}-journal`]) rmSync(part, { force: true });
        throw new HoldoverError("BACKUP_FAILED", { dir: dirname(to), problem: problemOf(cause) }, { cause });
      }
    },
    health: () => ({ bytes: bytesOf(file) + bytesOf(`${file}-wal`), failures, problem }),
    close: () => {
      if (sql.isOpen) sql.close();
    },
  };
}

/**
 * The one value of a query that always has one.
 * @throws HoldoverError STORE_CORRUPT
 */
export function onlyValue(database: Database, query: StatementSync): unknown {
  const row = database.read(() => query.get());
  if (row) return Object.values(row)[0];
  throw new HoldoverError("STORE_CORRUPT", { file: database.file, problem: "a row that is always there is missing" });
}

/** A `LIMIT` for SQLite, to which a negative number would mean no limit and a fraction is an error. */
export function rowLimit(limit: number): number {
  return Math.max(0, Math.min(Math.floor(limit), Number.MAX_SAFE_INTEGER)) || 0;
}

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDatabase, type Database, type OpenOptions } from "./database.ts";

/** A store on a file in a directory of its own, for tests. */
export interface ScratchStore<Store> {
  readonly store: Store;
  readonly dir: string;
  readonly file: string;
  /** The database that is open now. */
  readonly database: () => Database;
  /** Closes the file, lets `between` have it, and opens it again. */
  readonly reopen: (between?: () => void) => Store;
  readonly refuseWrites: (refuse: boolean) => Promise<void>;
  readonly close: () => Promise<void>;
}

export function scratchStore<Store>(options: OpenOptions, storeOn: (database: Database) => Store): ScratchStore<Store> {
  const dir = scratchDir();
  const file = join(dir, "store.db");
  let database = openDatabase(file, options);
  return {
    store: storeOn(database),
    dir,
    file,
    database: () => database,
    reopen: (between = () => {}) => {
      database.close();
      between();
      database = openDatabase(file, options);
      return storeOn(database);
    },
    refuseWrites: async (refuse) => database.sql.exec(`PRAGMA query_only = ${refuse ? "ON" : "OFF"}`),
    close: async () => {
      database.close();
      rmSync(dir, { recursive: true });
    },
  };
}

export function scratchDir(): string {
  return mkdtempSync(join(tmpdir(), "holdover-sqlite-"));
}

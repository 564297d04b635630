import type { DatabaseSync } from "node:sqlite";
import { HoldoverError } from "@holdover/core";

/** What a kind of file looks like inside, and how an older one becomes a newer one. */
export interface Format {
  /** Told in errors: `host`, `control`. */
  readonly name: string;
  /** In the header of the file (`PRAGMA application_id`): no file is taken for one of another kind. */
  readonly applicationId: number;
  /**
   * SQL that leads from version 0, an empty file, to the present one; `PRAGMA user_version` is how many are done.
   * A step that was released is never edited: its files are out there. Changes are new steps at the end.
   */
  readonly steps: readonly string[];
}

/** Above this many bytes the pages are not all read at opening; 512 MiB take about a second. Damage is met when read. */
const CHECKED_BYTES = 512 * 1024 * 1024;

/**
 * Changes nothing.
 * @param how thorough: read every page and check that it is in order
 * @throws HoldoverError STORE_CORRUPT, STORE_NEWER
 */
export function checkFormat(
  sql: DatabaseSync,
  file: string,
  format: Format,
  how: { readonly thorough: boolean },
): void {
  const found = numberFrom(sql, "PRAGMA user_version");
  const applicationId = numberFrom(sql, "PRAGMA application_id");
  const fresh = found === 0 && applicationId === 0 && numberFrom(sql, "SELECT count(*) FROM sqlite_schema") === 0;
  if (!fresh && applicationId !== format.applicationId) {
    throw new HoldoverError("STORE_CORRUPT", { file, problem: `it is no ${format.name} database of Holdover` });
  }
  const known = format.steps.length;
  if (found > known) throw new HoldoverError("STORE_NEWER", { file, found, known });
  if (!how.thorough) return;
  if (numberFrom(sql, "PRAGMA page_count") * numberFrom(sql, "PRAGMA page_size") > CHECKED_BYTES) return;
  const problem = firstValue(sql, "PRAGMA quick_check(1)");
  if (problem !== "ok") throw new HoldoverError("STORE_CORRUPT", { file, problem: String(problem) });
}

/**
 * Takes the steps that a file has not taken yet, each as one transaction.
 * @throws HoldoverError STORE_FAILED; the file then has the version of the last step that succeeded
 */
export function migrate(sql: DatabaseSync, write: (change: () => void) => void, format: Format): void {
  const done = numberFrom(sql, "PRAGMA user_version");
  for (const [index, step] of format.steps.entries()) {
    if (index < done) continue;
    write(() => {
      sql.exec(step);
      sql.exec(`PRAGMA application_id = ${format.applicationId}; PRAGMA user_version = ${index + 1}`);
    });
  }
}

function numberFrom(sql: DatabaseSync, query: string): number {
  return Number(firstValue(sql, query));
}

function firstValue(sql: DatabaseSync, query: string): unknown {
  return Object.values(sql.prepare(query).get() ?? {})[0];
}

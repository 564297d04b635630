import { dirname } from "node:path";
import { HoldoverError, problemOf } from "@holdover/core";

// Primary result codes (sqlite.org/rescode.html); the low byte of an extended code is its primary one.
const BUSY = 5;
const CORRUPT = 11;
const NOT_A_DATABASE = 26;

/** What a failed opening means. */
export function openFailure(file: string, thrown: unknown): unknown {
  if (thrown instanceof HoldoverError) return thrown;
  const code = resultCodeOf(thrown);
  if (code === BUSY) return new HoldoverError("ALREADY_RUNNING", { stateDir: dirname(file) }, { cause: thrown });
  if (code === CORRUPT || code === NOT_A_DATABASE) return unreadable(file, thrown);
  return refused(file, thrown);
}

/** What a failed change means. An error that is not the store's own, such as a caller's, stays as it is. */
export function changeFailure(file: string, thrown: unknown): unknown {
  if (isClosed(thrown)) return closed(file, thrown);
  return resultCodeOf(thrown) === undefined ? thrown : refused(file, thrown);
}

/** What a failed reading means. Text that is no JSON was not written by this store. */
export function readFailure(file: string, thrown: unknown): unknown {
  if (isClosed(thrown)) return closed(file, thrown);
  return resultCodeOf(thrown) === undefined && !(thrown instanceof SyntaxError) ? thrown : unreadable(file, thrown);
}

function refused(file: string, thrown: unknown): HoldoverError {
  return new HoldoverError("STORE_FAILED", { file, problem: problemOf(thrown) }, { cause: thrown });
}

function unreadable(file: string, thrown: unknown): HoldoverError {
  return new HoldoverError("STORE_CORRUPT", { file, problem: problemOf(thrown) }, { cause: thrown });
}

function closed(file: string, thrown: unknown): HoldoverError {
  return new HoldoverError("STORE_FAILED", { file, problem: "it is closed" }, { cause: thrown });
}

/** The primary result code of an error of SQLite; undefined for any other error. */
function resultCodeOf(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || !("errcode" in thrown) || typeof thrown.errcode !== "number") return undefined;
  return thrown.errcode & 0xff;
}

function isClosed(thrown: unknown): boolean {
  return thrown instanceof Error && "code" in thrown && thrown.code === "ERR_INVALID_STATE";
}

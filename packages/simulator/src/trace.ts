import { HoldoverError } from "@holdover/core";

/** Sessions as they were, in columns, ascending by start. Times in ms from the beginning of the trace. */
export interface Trace {
  readonly startMs: Float64Array;
  readonly durationMs: Float64Array;
}

const HEADER = "start_s,duration_s";
const ROW = /^(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?),(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)$/;
/** A row is two numbers: what is longer is no trace, and is not shown whole in an error. */
const MOST_ROW_CHARS = 80;
const MOST_SESSIONS = 5_000_000;

/**
 * Reads a CSV of `start_s,duration_s` (seconds, ascending by start; the header may be left out). A session of length 0 is
 * kept: it never meets a deploy.
 *
 * @param name of the trace, for the error
 * @throws HoldoverError USAGE_INVALID with the line that cannot be read, is out of order or ends before it begins; and for
 *   a trace without sessions or with more than five million
 */
export function parseTrace(name: string, text: string): Trace {
  const refuse = (line: number, problem: string, remedy: string): never => {
    throw new HoldoverError("USAGE_INVALID", { problem: `${name}, line ${line}: ${problem}`, remedy });
  };
  const startMs: number[] = [];
  const durationMs: number[] = [];
  let line = 0;
  for (let at = 0; at < text.length;) {
    const end = text.indexOf("\n", at);
    const stop = end < 0 ? text.length : end;
    const row = text.slice(at, Math.min(stop, at + MOST_ROW_CHARS + 1)).trim();
    at = stop + 1;
    line++;
    if (row === "" || (line === 1 && row.replace("\uFEFF", "") === HEADER)) continue;
    const match = row.length > MOST_ROW_CHARS ? null : ROW.exec(row);
    if (!match) {
      const shown = row.slice(0, 40);
      return refuse(line, `"${shown}" is not ${HEADER}`, "Write two numbers of seconds a line, with a comma between.");
    }
    const start = Math.round(Number(match[1]) * 1000);
    const duration = Math.round(Number(match[2]) * 1000);
    if (!Number.isSafeInteger(start) || !Number.isSafeInteger(duration)) {
      return refuse(line, "a number is too large to be seconds", "Write seconds from the first session.");
    }
    if (duration < 0) return refuse(line, `a session of ${duration / 1000} s ends before it begins`, "Leave it out.");
    if (start < (startMs.at(-1) ?? 0)) {
      return refuse(line, "it begins before the line above", "Sort the trace by start: sort -t, -k1,1n");
    }
    if (startMs.length >= MOST_SESSIONS) {
      return refuse(line, `there are more than ${MOST_SESSIONS} sessions`, "Split the trace in time.");
    }
    startMs.push(start);
    durationMs.push(duration);
  }
  if (startMs.length === 0) refuse(Math.max(1, line), "there is no session in it", `Write lines of ${HEADER}.`);
  return { startMs: Float64Array.from(startMs), durationMs: Float64Array.from(durationMs) };
}

/**
 * Lays the periods of a trace over each other (start modulo the period): a busier service from the same lengths. Sessions
 * that would have lasted into the first period from before are missing from its beginning.
 */
export function foldTrace(trace: Trace, periodMs: number): Trace {
  if (!(periodMs >= 1)) {
    const problem = `a fold of ${periodMs} ms is no period`;
    throw new HoldoverError("USAGE_INVALID", { problem, remedy: "Write a duration, for example 1d." });
  }
  const folded = trace.startMs.map((start) => start % periodMs);
  const order = ascending(folded);
  return {
    startMs: Float64Array.from(order, (row) => folded[row] ?? 0),
    durationMs: Float64Array.from(order, (row) => trace.durationMs[row] ?? 0),
  };
}

/** The rows of a column in ascending order of their value; equal ones in their own order. */
export function ascending(values: Float64Array): Uint32Array {
  return Uint32Array.from(values.keys()).sort((a, b) => (values[a] ?? 0) - (values[b] ?? 0) || a - b);
}

import { formatDuration, parseDuration, RELEASE_ID } from "@holdover/core";
import { InvalidArgumentError } from "commander";

const WEEK_MS = 7 * 86_400_000;

/** Readers of option and argument values, for commander: each throws its InvalidArgumentError with what would be right. */

/** Above 0 and up to 100; a percent sign is welcome. */
export function readPercent(text: string): number {
  const percent = /^\d+(\.\d+)?%?$/.test(text) ? Number.parseFloat(text) : Number.NaN;
  if (percent > 0 && percent <= 100) return percent;
  throw new InvalidArgumentError("Write a percentage above 0 and up to 100, for example 10.");
}

/** Milliseconds, at least one second. */
export function readDuration(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms >= 1000) return ms;
  throw new InvalidArgumentError(`Write a duration of ${formatDuration(1000)} or more, for example 30s, 10m or 1h.`);
}

/** Milliseconds, from none to a week: more the API does not take. */
export function readSpan(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms <= WEEK_MS) return ms;
  throw new InvalidArgumentError("Write a duration of up to 7d, for example 30s or 10m; 0s for none.");
}

/** Milliseconds, from one second to a week: more the API does not take. */
export function readAhead(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms >= 1000 && ms <= WEEK_MS) return ms;
  throw new InvalidArgumentError("Write a duration from 1s to 7d, for example 30m or 1h.");
}

/** 1 to 256: more instances the API does not take at once. */
export function readBatch(text: string): number {
  const batch = /^\d+$/.test(text) ? Number(text) : 0;
  if (batch >= 1 && batch <= 256) return batch;
  throw new InvalidArgumentError("Write a whole number from 1 to 256.");
}

/** 1 to 10,000: more the API does not give at once. */
export function readCount(text: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= 10_000) return count;
  throw new InvalidArgumentError("Write a whole number from 1 to 10000.");
}

/** The number of an audit entry; 0 stands before the first. */
export function readSeq(text: string): number {
  const seq = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(seq)) return seq;
  throw new InvalidArgumentError("Write the number of an entry, for example 120.");
}

export function readReleaseId(text: string): string {
  if (RELEASE_ID.test(text)) return text;
  throw new InvalidArgumentError(
    "A release id is 1 to 64 of letters, digits, dot, dash and underscore, for example v2.",
  );
}

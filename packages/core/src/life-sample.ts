/**
 * What was seen of how long sessions last, one row a session, in columns so that 100,000s of rows stay cheap. Ages in ms.
 * A session is seen from `entry` (0 where its beginning was seen; later where watching began after it: left-truncated)
 * until `exit`, where it `ended` (1) or is still open (0: right-censored).
 */
export interface LifeSample {
  readonly entry: Float64Array;
  readonly exit: Float64Array;
  readonly ended: Uint8Array;
}

/** Reads rows into columns. `entry` left out: the beginning was seen. */
export function lifeSample(
  rows: readonly { readonly entry?: number; readonly exit: number; readonly ended: boolean }[],
): LifeSample {
  return {
    entry: Float64Array.from(rows, (row) => row.entry ?? 0),
    exit: Float64Array.from(rows, (row) => row.exit),
    ended: Uint8Array.from(rows, (row) => (row.ended ? 1 : 0)),
  };
}

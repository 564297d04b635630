import { asHoldoverError, type HoldoverError } from "./errors.ts";
import type { EncodedValue, SessionFormat } from "./session-format.ts";

/** Why a release could not read something. Told without any value of the sessions: keys that are no field names are `*`. */
export interface FormatFailure {
  /** Its place among the samples; null where it needs no sample to be known. */
  readonly sample: number | null;
  /** The version that the value was in. */
  readonly version: number;
  readonly reason: string;
}

export interface DirectionReport {
  /** How many samples were tried. */
  readonly tried: number;
  readonly failures: readonly FormatFailure[];
}

/** What two releases can read of each other, of one format. */
export interface FormatReport {
  readonly format: string;
  /** The new release reads what is there. */
  readonly forward: DirectionReport;
  /** The old release reads what the new one makes of it: whether a rollback keeps the state. */
  readonly back: DirectionReport;
}

/**
 * Runs the formats of two releases on recorded values, in both directions.
 *
 * Back, a sample is read by the new release, written again by it, and read by the old one. A sample that the new release
 * cannot read is not tried back, and neither is a format that the old release does not have: it loses nothing by it.
 *
 * @param samples as the store has them, of any format and version
 * @returns a report for each format of either release and each that a sample has, by name
 */
export function compatibility(
  formatsOfNew: readonly SessionFormat<unknown>[],
  formatsOfOld: readonly SessionFormat<unknown>[],
  samples: readonly EncodedValue[],
): FormatReport[] {
  const news = byName(formatsOfNew);
  const olds = byName(formatsOfOld);
  const names = new Set([...news.keys(), ...olds.keys(), ...samples.map((sample) => sample.format)]);
  return [...names].toSorted().map((name) => reportOf(name, news.get(name), olds.get(name), samples));
}

function reportOf(
  format: string,
  ofNew: SessionFormat<unknown> | undefined,
  ofOld: SessionFormat<unknown> | undefined,
  samples: readonly EncodedValue[],
): FormatReport {
  const forward = direction();
  const back = direction();
  if (!ofNew) {
    if (ofOld) forward.fail(null, ofOld.version, "the new release does not have this format");
  } else if (ofOld) {
    const unread = unreachable(ofNew, ofOld);
    if (unread) forward.fail(null, ofOld.version, unread);
    const unreadBack = unreachable(ofOld, ofNew);
    if (unreadBack) back.fail(null, ofNew.version, unreadBack);
  }
  for (const [index, sample] of samples.entries()) {
    if (sample.format !== format) continue;
    const { version } = sample;
    if (!ofNew) {
      forward.fail(index, version, "the new release does not have this format");
      forward.count();
      continue;
    }
    const read = forward.attempt(index, version, () => ({ value: ofNew.decode(sample, ofOld) }));
    if (read && ofOld) back.attempt(index, ofNew.version, () => ofOld.decode(ofNew.encode(read.value), ofNew));
  }
  return { format, forward: forward.report(), back: back.report() };
}

/** Why nothing that `writer` writes can be read by `reader`, whatever it is; undefined where that is not so. */
function unreachable(reader: SessionFormat<unknown>, writer: SessionFormat<unknown>): string | undefined {
  if (writer.version < reader.oldest) {
    return `the upgrades to version ${reader.version} begin at ${reader.oldest}`;
  }
  if (writer.version > reader.version && writer.lowest > reader.version) {
    return `the downgrades of version ${writer.version} lead down to ${writer.lowest}, and version ${reader.version} is wanted`;
  }
  return undefined;
}

function direction() {
  const failures: FormatFailure[] = [];
  let tried = 0;
  const fail = (sample: number | null, version: number, reason: string): void => {
    failures.push({ sample, version, reason });
  };
  return {
    fail,
    count: (): void => {
      tried += 1;
    },
    attempt: <Result>(sample: number, version: number, run: () => Result): Result | undefined => {
      tried += 1;
      try {
        return run();
      } catch (thrown) {
        fail(sample, version, redactedReason(asHoldoverError(thrown)));
        return undefined;
      }
    },
    report: (): DirectionReport => ({ tried, failures }),
  };
}

/** The words of an error without what may come out of a session's data. */
function redactedReason({ code, details }: HoldoverError): string {
  return typeof details["redacted"] === "string" ? details["redacted"] : code;
}

function byName(formats: readonly SessionFormat<unknown>[]): Map<string, SessionFormat<unknown>> {
  return new Map(formats.map((format) => [format.name, format]));
}

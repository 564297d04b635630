import { z } from "zod";
import type { CheckpointEntry } from "./checkpoint.ts";
import {
  FORMAT_MISSING,
  unreadableBack,
  unreadableForward,
  type DeclaredFormat,
  type DirectionReport,
  type FormatFailure,
  type FormatReport,
} from "./compatibility.ts";
import {
  backAnswer,
  forwardAnswer,
  MOST_WANTED,
  readOfTrial,
  wireValue,
  type Base64,
  type FormatQuestion,
  type TrialValue,
} from "./format-trial.ts";
import { isOlderCopy } from "./older-versions.ts";

/** Entries that are taken out of the store for a trial, at the most. */
export const TRIAL_SAMPLES = 200;
/** How long a host may take for a whole trial, ms. */
export const TRIAL_MS = 30_000;
/** How long a host waits for an instance of the new release to have joined, ms: it is healthy by then. */
export const TRIAL_JOIN_MS = 5000;
/** Reasons that a report tells of one direction, at the most. */
const MOST_FAILURES = 20;

/** A release that takes part in a trial, as one of its instances that has joined. */
export interface TrialSide {
  readonly release: string;
  readonly formats: readonly DeclaredFormat[];
  /** Asks that instance. MUST settle within {@link TRIAL_ANSWER_MS}. */
  readonly ask: (question: FormatQuestion) => Promise<unknown>;
}

/** What control wants to know. */
export const formatTrialRequest = z.object({
  service: z.string(),
  /** The release that is tried. */
  release: z.string(),
  /** Those that have to get on with it: each could be rolled back to. */
  others: z.array(z.string()).max(100),
});
export type FormatTrialRequest = z.output<typeof formatTrialRequest>;

export interface FormatTrialReport {
  /** Samples that were taken out of the store. */
  readonly samples: number;
  /** Those of the others of which no instance has joined, so that nobody could be asked. */
  readonly untried: readonly string[];
  /** By name. None: no release that runs declares a format. */
  readonly formats: readonly FormatReport[];
}

/** A trial of a service that keeps nothing. */
export const NO_FORMATS: FormatTrialReport = { samples: 0, untried: [], formats: [] };

const failure = z.object({
  version: z.int(),
  samples: z.int().meta({ description: "Of how many samples it is true; 0: it needs no sample to be known." }),
  reason: z.string().max(1000),
});
const direction = z.object({ tried: z.int(), failed: z.int(), failures: z.array(failure).max(MOST_FAILURES) });
/** As it goes over a link, and as the API shows it. */
export const formatTrialReport = z.object({
  samples: z.int().meta({ description: "Values of live sessions that were tried." }),
  untried: z
    .array(z.string())
    .meta({ description: "Releases of which no instance has joined, so that nobody could be asked." }),
  formats: z.array(
    z.object({
      format: z.string(),
      forward: direction.meta({ description: "The new release reads what is there." }),
      back: z
        .array(direction.extend({ release: z.string() }))
        .meta({ description: "Each other release reads what the new one makes of it." }),
    }),
  ),
});

/**
 * A report as it came over a link.
 * @throws HoldoverError LINK_MESSAGE_INVALID
 */
export function readTrialReport(report: unknown): FormatTrialReport {
  return readOfTrial(formatTrialReport, report);
}

/**
 * Tries the formats of a new release and of those that run on values that are stored, each release in a process of its
 * own. Forward, the new one reads what is there. Back, each other one reads what the new one made of it.
 *
 * A sample that is in a newer version than the new release's (older code is deployed anew) is first written in the latter
 * by a release that runs and knows both, as that would once the new one runs beside it.
 *
 * @param others null: no instance of it has joined
 * @param samples as the store has them. What is in a format that nobody declares is passed over: nobody reads it now
 * @throws whatever `ask` throws, and LINK_MESSAGE_INVALID for an answer that is none: then nothing is known
 */
export async function tryFormats(
  ofNew: TrialSide,
  others: ReadonlyMap<string, TrialSide | null>,
  samples: readonly CheckpointEntry[],
  base64: Base64,
): Promise<FormatTrialReport> {
  const sides = [...others.values()].filter((side) => side !== null);
  const names = new Set([ofNew, ...sides].flatMap(({ formats }) => formats).map(({ name }) => name));
  // What was written for older releases is not what the new one would read.
  const tried = samples.filter(({ name, format }) => !isOlderCopy(name) && names.has(format));
  const formats: FormatReport[] = [];
  for (const name of [...names].toSorted()) {
    const own = tried.filter(({ format }) => format === name).map((sample) => wireValue(sample, base64));
    formats.push(await tryFormat(name, ofNew, sides, own));
  }
  const untried = [...others].filter(([, side]) => side === null).map(([release]) => release);
  return { samples: tried.length, untried, formats };
}

async function tryFormat(
  name: string,
  ofNew: TrialSide,
  sides: readonly TrialSide[],
  samples: readonly TrialValue[],
): Promise<FormatReport> {
  const declared = declaredBy(ofNew, name);
  const forward = collect();
  const back = sides.map((side) => ({ side, declared: declaredBy(side, name), found: collect() }));
  for (const { declared: other, found } of back) {
    if (!other) continue;
    const ahead = unreadableForward(declared, other);
    if (ahead !== undefined) forward.known(other.version, ahead);
    const behind = unreadableBack(declared, other);
    if (declared && behind !== undefined) found.known(declared.version, behind);
  }
  const wanted = [...new Set(back.flatMap(({ declared: other }) => (other ? [other.version] : [])))]
    .filter((version) => declared && version < declared.version)
    .toSorted((a, b) => b - a)
    .slice(0, MOST_WANTED);
  for (const sample of samples) {
    if (!declared) {
      forward.tried(sample.version, FORMAT_MISSING);
      continue;
    }
    const arrived = await forNew(sample, declared, sides);
    const answer = arrived.value
      ? await askForward(ofNew, arrived.value, wanted)
      : { read: false as const, reason: arrived.reason };
    forward.tried(sample.version, answer.read ? null : answer.reason);
    if (!answer.read) continue;
    for (const { side, declared: other, found } of back) {
      if (!other) continue;
      const { reason } = readOfTrial(backAnswer, await side.ask({ try: "back", written: answer.written }));
      const unwritten = answer.unwritten.find(({ version }) => version === other.version);
      found.tried(declared.version, reason && (unwritten?.reason ?? reason));
    }
  }
  return {
    format: name,
    forward: forward.report(),
    back: back.flatMap(({ side, declared: other, found }) => {
      const { tried, failed, failures } = found.report();
      return other ? [{ release: side.release, tried, failed, failures }] : [];
    }),
  };
}

type Arrived = { readonly value: TrialValue } | { readonly value: null; readonly reason: string };

/** A stored value as the new release would find it. */
async function forNew(sample: TrialValue, declared: DeclaredFormat, sides: readonly TrialSide[]): Promise<Arrived> {
  const { version } = declared;
  const newer = sides.find((side) => {
    const other = declaredBy(side, declared.name);
    return other && other.version >= sample.version && other.lowest <= version;
  });
  // Without anybody who can write it so, the new release itself says that it cannot read it.
  if (sample.version <= version || !newer) return { value: sample };
  const answer = await askForward(newer, sample, [version]);
  if (!answer.read) return { value: null, reason: answer.reason };
  const copy = answer.written.find((one) => one.version === version);
  if (copy) return { value: copy };
  return { value: null, reason: answer.unwritten[0]?.reason ?? `nobody writes it in version ${version}` };
}

async function askForward(side: TrialSide, sample: TrialValue, wanted: number[]) {
  return readOfTrial(forwardAnswer, await side.ask({ try: "forward", sample, wanted }));
}

function declaredBy({ formats }: TrialSide, name: string): DeclaredFormat | undefined {
  return formats.find((format) => format.name === name);
}

/** What comes out of one direction. */
function collect() {
  const failures = new Map<string, { version: number; samples: number; reason: string }>();
  let tried = 0;
  let failed = 0;
  const note = (version: number, reason: string): FormatFailure & { samples: number } => {
    const key = `${version} ${reason}`;
    const noted = failures.get(key) ?? { version, samples: 0, reason };
    if (failures.size < MOST_FAILURES) failures.set(key, noted);
    return noted;
  };
  return {
    known: (version: number, reason: string): void => {
      note(version, reason);
    },
    /** @param reason null: it went well */
    tried: (version: number, reason: string | null): void => {
      tried += 1;
      if (reason === null) return;
      failed += 1;
      note(version, reason).samples += 1;
    },
    report: (): DirectionReport => ({ tried, failed, failures: [...failures.values()] }),
  };
}

/** What a deploy is told: which format, version, how many of how many, and why. */
export interface TrialFinding {
  readonly format: string;
  /** Of the release that cannot read it back; null: the new one cannot read what is there. */
  readonly release: string | null;
  readonly version: number;
  readonly samples: number;
  readonly tried: number;
  readonly reason: string;
}

/** What was found wrong in one direction, what is worst first. */
export function findingsOf({ formats }: FormatTrialReport, way: "forward" | "back"): TrialFinding[] {
  return formats
    .flatMap(({ format, forward, back }) =>
      (way === "forward" ? [{ ...forward, release: null }] : back).flatMap(({ release, tried, failures }) =>
        failures.map(({ version, samples, reason }) => ({ format, release, version, samples, tried, reason })),
      ),
    )
    .toSorted((a, b) => b.samples - a.samples);
}

/** A finding in words. */
export function findingText({ format, release, version, samples, tried, reason }: TrialFinding): string {
  const of = samples > 0 ? ` (${samples} of ${tried} samples)` : "";
  const reader = release === null ? "" : ` by ${release}`;
  return `${format} of version ${version} cannot be read${reader}${of}: ${reason}`;
}

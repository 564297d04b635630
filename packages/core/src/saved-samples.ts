import { z } from "zod";
import type { CheckpointEntry } from "./checkpoint.ts";
import { HoldoverError } from "./errors.ts";
import type { TrialSide } from "./format-gate.ts";
import { readOfTrial, redactAnswer, wireValue, type Base64, type TrialValue } from "./format-trial.ts";
import { isOlderCopy } from "./older-versions.ts";
import { textOf } from "./session-format.ts";

/** Characters of all values together, at the most: they go over the control link in one message. */
const MOST_CHARS = 8 * 1024 * 1024;
const MOST_SAMPLES = 10_000;

const sample = z.strictObject({ format: z.string().min(1).max(128), version: z.int().min(1), value: z.unknown() });
/** What a file holds for a CI job, and what the API gives for it. */
export const savedSamples = z.strictObject({ samples: z.array(sample).max(MOST_SAMPLES) });
/** What is left of samples outside the store. */
export const keptSamples = savedSamples.extend({
  withheld: z
    .int()
    .meta({ description: "Samples of formats without `redact`, of releases that do not run, or beyond 8 MiB." }),
});

export type SavedSample = z.output<typeof sample>;
export type KeptSamples = z.output<typeof keptSamples>;

/** What control asks for samples to keep: of which service, and which releases may redact them. */
export const samplesRequest = z.object({ service: z.string(), releases: z.array(z.string()).max(100) });
export type SamplesRequest = z.output<typeof samplesRequest>;

/** @throws HoldoverError REQUEST_INVALID */
export function readSavedSamples(text: string): SavedSample[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new HoldoverError("REQUEST_INVALID", { problem: "it is no JSON" }, { cause });
  }
  const result = savedSamples.safeParse(json);
  if (result.success) return result.data.samples;
  throw new HoldoverError("REQUEST_INVALID", { problem: z.prettifyError(result.error).slice(0, 300) });
}

/** @throws HoldoverError LINK_MESSAGE_INVALID */
export function readKeptSamples(value: unknown): KeptSamples {
  return readOfTrial(keptSamples, value);
}

/**
 * Samples as the application lets them be kept, each redacted in a process of a release that reads it: of its own version
 * where there is one.
 * @throws whatever `ask` throws
 */
export async function redactSamples(
  sides: readonly TrialSide[],
  samples: readonly CheckpointEntry[],
  base64: Base64,
): Promise<KeptSamples> {
  const kept: SavedSample[] = [];
  let withheld = 0;
  let chars = 0;
  for (const entry of samples.filter(({ name }) => !isOlderCopy(name))) {
    const redacted = await redactedBy(readerOf(entry, sides), wireValue(entry, base64));
    const text = redacted && textOf(base64.decode(redacted.base64));
    if (!text || chars + text.length > MOST_CHARS) {
      withheld += 1;
      continue;
    }
    chars += text.length;
    kept.push({ format: redacted.format, version: redacted.version, value: JSON.parse(text) as unknown });
  }
  return { samples: kept, withheld };
}

/** The oldest release that reads it: the redacted value is in the version of that one. */
function readerOf({ format, version }: CheckpointEntry, sides: readonly TrialSide[]): TrialSide | undefined {
  const readers = sides.flatMap((side) => {
    const declared = side.formats.find(({ name }) => name === format);
    return declared && declared.oldest <= version && version <= declared.version ? [{ side, declared }] : [];
  });
  return readers.toSorted((a, b) => a.declared.version - b.declared.version)[0]?.side;
}

async function redactedBy(side: TrialSide | undefined, value: TrialValue): Promise<TrialValue | null> {
  if (!side) return null;
  return readOfTrial(redactAnswer, await side.ask({ try: "redact", sample: value })).sample;
}

import {
  asHoldoverError,
  HoldoverError,
  NO_FORMATS,
  redactSamples,
  TRIAL_ANSWER_MS,
  TRIAL_JOIN_MS,
  TRIAL_MS,
  TRIAL_SAMPLES,
  tryFormats,
  type CheckpointStore,
  type Clock,
  type FormatTrialReport,
  type FormatTrialRequest,
  type KeptSamples,
  type SamplesRequest,
  type TrialSide,
} from "@holdover/core";
import { base64 } from "./base64.ts";
import type { Worker } from "./worker.ts";

/** How often it is asked whether the new release has joined, ms. */
const LOOK_EVERY_MS = 50;

export interface FormatTrialOptions {
  readonly checkpoints: Pick<CheckpointStore, "sample">;
  readonly linked: (service: string, release: string) => Worker[];
  readonly clock: Clock;
}

/**
 * Tries the formats of a release against those of others, in processes of theirs that have joined.
 * @throws HoldoverError FORMAT_TRIAL_FAILED, STORE_FAILED
 */
export async function tryFormatsOf(
  { service, release, others }: FormatTrialRequest,
  options: FormatTrialOptions,
): Promise<FormatTrialReport> {
  const { checkpoints, clock } = options;
  const side = sidesOf(service, options);
  const sides = new Map(others.map((other) => [other, side(other)]));
  const keeps = [...sides.values()].some((other) => other !== null && other.formats.length > 0);
  const untilMs = clock.now() + (keeps ? TRIAL_JOIN_MS : 0);
  let ofNew = side(release);
  while (!ofNew && clock.now() < untilMs) {
    await new Promise<void>((resolve) => void clock.after(LOOK_EVERY_MS, resolve));
    ofNew = side(release);
  }
  if (!ofNew && keeps) throw failed(service, release, "none of its instances has joined");
  const tried = ofNew;
  if (!tried) return NO_FORMATS;
  return known(service, release, async () =>
    tryFormats(tried, sides, await checkpoints.sample(service, TRIAL_SAMPLES), base64),
  );
}

/**
 * Samples of what sessions keep, redacted by processes of these releases.
 * @throws HoldoverError FORMAT_TRIAL_FAILED, STORE_FAILED
 */
export async function samplesOf(
  { service, releases }: SamplesRequest,
  options: FormatTrialOptions,
): Promise<KeptSamples> {
  const side = sidesOf(service, options);
  const sides = releases.map(side).filter((one) => one !== null);
  return known(service, releases.join(", "), async () =>
    redactSamples(sides, await options.checkpoints.sample(service, TRIAL_SAMPLES), base64),
  );
}

/** A release as one of its instances that has joined; null: none has. All of them together answer for 30 s at the most. */
function sidesOf(service: string, { linked, clock }: FormatTrialOptions): (release: string) => TrialSide | null {
  const untilMs = clock.now() + TRIAL_MS;
  return (release) => {
    const worker = linked(service, release)[0];
    if (!worker) return null;
    return {
      release,
      formats: worker.formats,
      ask: async (question) => {
        const leftMs = untilMs - clock.now();
        if (leftMs <= 0) throw failed(service, release, `it was not done within ${TRIAL_MS / 1000} s`);
        const forMs = Math.min(leftMs, TRIAL_ANSWER_MS);
        const answer = await worker.link
          ?.call({ name: "try-formats", trial: question }, forMs)
          .catch((thrown: unknown) => {
            const error = asHoldoverError(thrown);
            if (error.code !== "LINK_DOWN") throw error;
            throw failed(service, release, `its worker did not answer within ${forMs / 1000} s`);
          });
        if (answer === undefined) throw failed(service, release, "its worker has gone");
        return answer;
      },
    };
  };
}

/** Whatever went wrong in an application's process, the trial is what has failed. */
async function known<T>(service: string, release: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (thrown) {
    const error = asHoldoverError(thrown);
    if (error.code === "STORE_FAILED" || error.code === "FORMAT_TRIAL_FAILED") throw error;
    throw failed(service, release, error.message);
  }
}

function failed(service: string, release: string, problem: string): HoldoverError {
  return new HoldoverError("FORMAT_TRIAL_FAILED", { service, release, problem });
}

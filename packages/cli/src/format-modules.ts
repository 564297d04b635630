import { fork } from "node:child_process";
import { once } from "node:events";
import { readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import {
  HoldoverError,
  problemOf,
  readSavedSamples,
  TRIAL_ANSWER_MS,
  tryFormats,
  type CheckpointEntry,
  type FormatTrialReport,
  type SavedSample,
  type TrialSide,
} from "@holdover/core";
import type { FormatMessage } from "./format-process.ts";

const PROGRAM = fileURLToPath(new URL("./format-process.ts", import.meta.url));
/** How long a module may take to be loaded, ms. */
const LOAD_MS = 30_000;
/** Of a file of samples, bytes. */
const MOST_BYTES = 64 * 1024 * 1024;

/** A build's module of session formats. */
export interface FormatModule {
  /** What it is called in the report. */
  readonly name: string;
  /** Absolute. */
  readonly file: string;
}

/**
 * Tries two builds on samples of a file, without a Holdover that runs: each build's module of session formats is loaded in
 * a process of its own.
 * @throws HoldoverError FORMAT_TRIAL_FAILED
 */
export async function tryModules(
  from: FormatModule,
  to: FormatModule,
  samples: readonly SavedSample[],
): Promise<FormatTrialReport> {
  const sides: FormatSide[] = [];
  try {
    const ofOld = await startSide(from);
    sides.push(ofOld);
    const ofNew = await startSide(to);
    sides.push(ofNew);
    return await tryFormats(ofNew, new Map([[from.name, ofOld]]), samples.map(entryOf), {
      encode: (bytes) => Buffer.from(bytes).toString("base64"),
      decode: (text) => Buffer.from(text, "base64"),
    });
  } finally {
    for (const side of sides) side.stop();
  }
}

/** @throws HoldoverError USAGE_INVALID */
export async function readSamples(file: string): Promise<SavedSample[]> {
  try {
    const { size } = await stat(file);
    if (size > MOST_BYTES) throw new Error(`it has ${size} bytes, and ${MOST_BYTES} are allowed`);
    return readSavedSamples(await readFile(file, "utf8"));
  } catch (thrown) {
    throw new HoldoverError("USAGE_INVALID", {
      problem: `The samples in ${file} cannot be read: ${problemOf(thrown)}`,
      remedy: 'It is JSON: { "samples": [{ "format": "cart", "version": 1, "value": … }] }.',
    });
  }
}

interface FormatSide extends TrialSide {
  stop(): void;
}

async function startSide({ name, file }: FormatModule): Promise<FormatSide> {
  const failed = (problem: string): HoldoverError =>
    new HoldoverError("FORMAT_TRIAL_FAILED", { service: "SERVICE", release: name, problem });
  const child = fork(PROGRAM, [file], {
    cwd: dirname(file),
    execArgv: [],
    // What it prints is no part of our output.
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const stop = (): void => void child.kill("SIGKILL");
  const gone = new AbortController();
  child.once("exit", (code, signal) => gone.abort(failed(`its process ended with ${signal ?? `exit code ${code}`}`)));
  child.on("error", (error) => gone.abort(failed(error.message)));
  // One question at a time, so that each answer is to the last one.
  const next = async (withinMs: number): Promise<FormatMessage> => {
    const late = AbortSignal.timeout(withinMs);
    try {
      const [message] = (await once(child, "message", { signal: AbortSignal.any([late, gone.signal]) })) as [
        FormatMessage,
      ];
      return message;
    } catch (thrown) {
      if (gone.signal.aborted) throw gone.signal.reason;
      if (late.aborted) throw failed(`it did not answer within ${withinMs / 1000} s`);
      throw thrown;
    }
  };
  try {
    const loaded = await next(LOAD_MS);
    if (loaded.type !== "formats") throw failed(loaded.type === "failed" ? loaded.problem : "it answers nonsense");
    return {
      release: name,
      formats: loaded.formats,
      ask: async (question) => {
        const answered = next(TRIAL_ANSWER_MS);
        child.send(question);
        const message = await answered;
        if (message.type !== "answer")
          throw failed(message.type === "failed" ? message.problem : "it answers nonsense");
        return message.answer;
      },
      stop,
    };
  } catch (thrown) {
    stop();
    throw thrown;
  }
}

function entryOf({ format, version, value }: SavedSample): CheckpointEntry {
  return { name: format, format, version, bytes: Buffer.from(JSON.stringify(value ?? null)) };
}

import { ftruncateSync, fstatSync, readSync, writeSync } from "node:fs";
import { constants, copyFile, open, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { problemOf, type Clock } from "@holdover/core";
import { olderLog } from "./log-tail.ts";

/** A log above this is rotated; one older file is kept, so a log takes about twice this on disk. */
const LOG_LIMIT_BYTES = 10 * 1024 * 1024;
/** How often the size is looked at: what a program writes in between comes on top. */
const LOG_CHECK_MS = 10_000;

const CHUNK_BYTES = 65_536;
/** The rest is copied in rounds until so little is left that the last round and the truncation are one short step. */
const ROUNDS = 8;

/**
 * Keeps logs within their limit, from the first look a moment from now until what it returns is called. Whoever writes
 * them has to append (O_APPEND).
 * @param files the logs to look at, asked for anew each time
 */
export function keepLogsBounded(
  files: () => Iterable<string>,
  clock: Clock,
  log: (event: string, detail: Readonly<Record<string, unknown>>) => void,
): () => void {
  let stopped = false;
  let cancel = (): void => {};
  const look = async (): Promise<void> => {
    for (const file of files()) {
      if (stopped) return;
      try {
        if (await rotateLog(file, LOG_LIMIT_BYTES)) log("log-rotated", { file });
      } catch (error) {
        log("log-rotation-failed", { file, problem: problemOf(error) });
      }
    }
    if (!stopped) cancel = clock.after(LOG_CHECK_MS, () => void look());
  };
  void look();
  return () => {
    stopped = true;
    cancel();
  };
}

/**
 * Copies a log to `.1` and empties it in place, because the program holds the file open and cannot be told of a new one.
 *
 * What can be lost: lines that are written in the instant between the last read and the truncation (some microseconds,
 * as both are one synchronous step), and, from a program that writes faster than the disk copies, what comes in during
 * the last round. A crash on the way leaves lines twice, never none.
 *
 * @returns whether it was large enough to be rotated
 */
export async function rotateLog(file: string, limitBytes: number): Promise<boolean> {
  const size = await stat(file).then(
    (found) => found.size,
    () => 0,
  );
  if (size <= limitBytes) return false;
  const unfinished = `${file}.rotating`;
  try {
    await copyFile(file, unfinished, constants.COPYFILE_FICLONE);
    const from = await open(file, "r+");
    try {
      const to = await open(unfinished, "r+");
      try {
        await copyRest(from, to, async () => rename(unfinished, olderLog(file)));
      } finally {
        await to.close();
      }
    } finally {
      await from.close();
    }
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
  return true;
}

/** Brings the copy up to date, has it put in place, and then takes over what came in meanwhile and truncates. */
async function copyRest(from: FileHandle, to: FileHandle, putInPlace: () => Promise<void>): Promise<void> {
  const buffer = Buffer.alloc(CHUNK_BYTES);
  let at = (await to.stat()).size;
  for (let round = 0; round < ROUNDS && (await from.stat()).size - at > CHUNK_BYTES; round += 1) {
    const end = (await from.stat()).size;
    while (at < end) {
      const { bytesRead } = await from.read(buffer, 0, CHUNK_BYTES, at);
      if (bytesRead === 0) break;
      await to.write(buffer, 0, bytesRead, at);
      at += bytesRead;
    }
  }
  await putInPlace();
  for (let round = 0; round < ROUNDS && at < fstatSync(from.fd).size; round += 1) {
    const bytesRead = readSync(from.fd, buffer, 0, CHUNK_BYTES, at);
    writeSync(to.fd, buffer, 0, bytesRead, at);
    at += bytesRead;
  }
  ftruncateSync(from.fd, 0);
}

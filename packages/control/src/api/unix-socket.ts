import { randomUUID } from "node:crypto";
import { link, lstat, mkdir, rename, rm, unlink } from "node:fs/promises";
import type { Server } from "node:net";
import { createConnection } from "node:net";
import { dirname } from "node:path";
import { HoldoverError, problemOf } from "@holdover/core";
import { bound, codeOf } from "./binding.ts";

/**
 * Listens on a unix socket that only this user can open: a file of mode 0600, its directory made with mode 0700 where it
 * is missing. A socket file whose process died is replaced; one that still answers is left alone.
 * @throws HoldoverError ALREADY_RUNNING, LISTEN_FAILED
 */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    if (await bind(server, path)) return;
    await removeStale(path);
    if (await bind(server, path)) return;
  } catch (error) {
    if (error instanceof HoldoverError) throw error;
    throw failed(path, problemOf(error), error);
  }
  // Somebody else bound it between the two steps.
  throw alreadyRunning(path);
}

/** False: there is a file of this name already. */
async function bind(server: Server, path: string): Promise<boolean> {
  // The file is made inside of listen(): with the mask there is no moment at which others could open it.
  const mask = process.umask(0o177);
  let binding: Promise<void>;
  try {
    binding = bound(server, () => server.listen({ path }));
  } finally {
    process.umask(mask);
  }
  try {
    await binding;
    return true;
  } catch (error) {
    if (codeOf(error) === "EADDRINUSE") return false;
    throw error;
  }
}

/**
 * Takes away a socket file that nobody answers at. It is moved aside first and asked again there: of two processes that
 * start at once, the slower one would otherwise delete the socket that the faster one has just made.
 */
async function removeStale(path: string): Promise<void> {
  if (await answers(path)) throw alreadyRunning(path);
  const aside = `${path}.${randomUUID().slice(0, 8)}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return;
    throw error;
  }
  if (!(await answers(aside))) {
    await rm(aside, { force: true });
    return;
  }
  // link() and not rename(): it never takes the place of a file that is there by now.
  await link(aside, path);
  await unlink(aside);
  throw alreadyRunning(path);
}

async function answers(path: string): Promise<boolean> {
  const file = await lstat(path).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  });
  if (!file) return false;
  if (!file.isSocket()) throw failed(path, "a file that is no socket is in its place");
  return new Promise((resolve, reject) => {
    const probe = createConnection({ path });
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", (error) => {
      const code = codeOf(error);
      if (code === "ECONNREFUSED" || code === "ENOENT") resolve(false);
      // Its backlog is full: it is alive and busy.
      else if (code === "EAGAIN") resolve(true);
      else reject(error);
    });
  });
}

function alreadyRunning(path: string): HoldoverError {
  return new HoldoverError("ALREADY_RUNNING", { stateDir: dirname(path) });
}

function failed(path: string, problem: string, cause?: unknown): HoldoverError {
  return new HoldoverError("LISTEN_FAILED", { address: path, problem, setting: "state" }, { cause });
}

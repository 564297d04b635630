import { randomBytes } from "node:crypto";
import { chmod, constants, copyFile, lstat, mkdir, readdir, rename, rm, stat, symlink, utimes } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { HoldoverError, problemOf } from "@holdover/core";
import { digestOf, lineOf, linkInCopy, listTree, type TreeEntry } from "./snapshot-tree.ts";

export interface SnapshotRequest {
  /** The directory of the build. */
  readonly from: string;
  /** Where the snapshot is to be: `<state dir>/releases/<service>/<release>`. */
  readonly to: string;
}

export interface Snapshot {
  /** `sha256:` and 64 hex digits; the same for the same names, contents and executable bits. */
  readonly digest: string;
  readonly files: number;
  readonly bytes: number;
  /** Sockets, pipes and devices that were passed over. */
  readonly skipped: readonly string[];
}

/** The pool of threads has four; more would only wait. */
const AT_ONCE = 4;
const PARTIAL = ".partial-";

/**
 * Copies a directory into an immutable release. It appears at `to` whole or not at all, by one rename.
 *
 * - `.git` and the state directory are left out; sockets, pipes and devices are skipped and told.
 * - Files are made read-only, so that nobody mends a live release in place and a rollback brings back what was deployed.
 *   Directories stay writable: programs put caches, pid files and databases beside their code. Who wants them to last
 *   longer than a release has to put them elsewhere.
 * - Links: see {@link linkInCopy}. node_modules that stand further up are not copied; Node finds them, because `to` lies
 *   below the project.
 * - If `to` is there already and holds the same (what its instances have added does not count), nothing changes.
 * - It does not wait for the disk: a machine that loses power within seconds can lose parts of it.
 *
 * @throws HoldoverError DIRECTORY_MISSING, SNAPSHOT_FAILED; then the unfinished copy is gone
 */
export async function takeSnapshot(request: SnapshotRequest): Promise<Snapshot> {
  const from = resolve(request.from);
  const to = resolve(request.to);
  const isDirectory = await stat(from).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isDirectory) throw new HoldoverError("DIRECTORY_MISSING", { dir: from });
  const partial = `${to}${PARTIAL}${process.pid}-${randomBytes(6).toString("hex")}`;
  try {
    if (from === to) throw new Error("it is the place of the snapshot itself");
    await mkdir(dirname(to), { recursive: true, mode: 0o700 });
    await removeAbandoned(dirname(to));
    const snapshot = await copyTree(from, to, partial);
    await putInPlace(partial, to);
    return snapshot;
  } catch (error) {
    const problem = problemOf(error);
    await rm(partial, { recursive: true, force: true }).catch(() => undefined);
    throw new HoldoverError("SNAPSHOT_FAILED", { dir: from, problem }, { cause: error });
  }
}

/**
 * Removes a snapshot. It is gone from its place at once; one that is not there is fine.
 * @throws HoldoverError SNAPSHOT_NOT_REMOVED
 */
export async function removeSnapshot(path: string): Promise<void> {
  const snapshot = resolve(path);
  // Out of the way first: half a release must never be found under its name.
  const aside = `${snapshot}${PARTIAL}${process.pid}-${randomBytes(6).toString("hex")}`;
  try {
    await rename(snapshot, aside);
    await rm(aside, { recursive: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw new HoldoverError("SNAPSHOT_NOT_REMOVED", { dir: snapshot, problem: problemOf(error) }, { cause: error });
  }
}

async function copyTree(from: string, to: string, partial: string): Promise<Snapshot> {
  const state = stateDirOf(to);
  const tree = await listTree(
    from,
    (path) => basename(path) === ".git" || path === state || path === dirname(to) || path === to,
  );
  await mkdir(partial, { mode: 0o700 });
  const directories = tree.entries.filter((entry) => entry.kind === "directory");
  for (const directory of directories) await mkdir(join(partial, directory.path), { mode: 0o700 });
  const lines: string[] = [];
  await eachOf(tree.entries, async (entry) => {
    await copyEntry(from, partial, entry);
    lines.push(await lineOf(partial, entry));
  });
  for (const { path, mode } of directories) await chmod(join(partial, path), (mode & 0o777) | 0o700);
  await chmod(partial, ((await stat(from)).mode & 0o777) | 0o700);
  const files = tree.entries.filter((entry) => entry.kind === "file");
  return {
    digest: digestOf(lines),
    files: files.length,
    bytes: files.reduce((sum, file) => sum + file.bytes, 0),
    skipped: tree.skipped,
  };
}

/** By the layout of the state directory; a `to` that does not follow it names no more than its own parent. */
function stateDirOf(to: string): string {
  const releases = dirname(dirname(to));
  return basename(releases) === "releases" ? dirname(releases) : dirname(to);
}

async function copyEntry(from: string, partial: string, entry: TreeEntry): Promise<void> {
  const target = join(partial, entry.path);
  if (entry.kind === "link") await symlink(linkInCopy(from, entry.path, entry.text), target);
  if (entry.kind !== "file") return;
  const source = join(from, entry.path);
  await copyFile(source, target, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
  const after = await lstat(source);
  if (after.size !== entry.bytes || after.mtimeMs !== entry.mtimeMs) {
    throw new Error(`${entry.path} was changed while it was copied; is a build still running?`);
  }
  // Web servers tell clients the time of change, and Python compiles again what seems newer.
  await utimes(target, after.atime, after.mtime);
  await chmod(target, entry.mode & 0o555);
}

async function putInPlace(partial: string, to: string): Promise<void> {
  try {
    await rename(partial, to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
    if (!(await holdsAllOf(partial, to))) throw new Error(`another build is already kept at ${to}`, { cause: error });
    await rm(partial, { recursive: true });
  }
}

async function holdsAllOf(partial: string, to: string): Promise<boolean> {
  const kept = new Set(await linesOfTree(to));
  return (await linesOfTree(partial)).every((line) => kept.has(line));
}

async function linesOfTree(root: string): Promise<string[]> {
  const { entries } = await listTree(root, () => false);
  const lines: string[] = [];
  await eachOf(entries, async (entry) => {
    lines.push(await lineOf(root, entry));
  });
  return lines;
}

/** A process that was killed while it copied (or removed) left a directory with its pid in the name. */
async function removeAbandoned(dir: string): Promise<void> {
  for (const name of await readdir(dir)) {
    const pid = Number(/\.partial-(\d+)-[0-9a-f]{12}$/.exec(name)?.[1]);
    if (!pid || pid === process.pid || processExists(pid)) continue;
    await rm(join(dir, name), { recursive: true, force: true });
  }
}

function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

async function eachOf<Item>(items: readonly Item[], run: (item: Item) => Promise<void>): Promise<void> {
  const queue = items[Symbol.iterator]();
  let failed = false;
  const worker = async (): Promise<void> => {
    for (const item of queue) {
      // One failure ends them all, before the unfinished copy is removed under their hands.
      if (failed) return;
      await run(item).catch((error: unknown) => {
        failed = true;
        throw error;
      });
    }
  };
  const results = await Promise.allSettled(Array.from({ length: AT_ONCE }, worker));
  for (const result of results) if (result.status === "rejected") throw result.reason;
}

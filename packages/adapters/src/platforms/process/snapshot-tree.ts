import { createHash, type Hash } from "node:crypto";
import { open, lstat, readdir, readlink } from "node:fs/promises";
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";

/** One entry of a tree; `path` is relative and has `/` between its parts. */
export type TreeEntry =
  | { readonly kind: "directory"; readonly path: string; readonly mode: number }
  | {
      readonly kind: "file";
      readonly path: string;
      readonly mode: number;
      readonly bytes: number;
      readonly mtimeMs: number;
    }
  | { readonly kind: "link"; readonly path: string; readonly text: string };

export interface Tree {
  /** Every directory stands before what is in it. */
  readonly entries: TreeEntry[];
  /** Sockets, pipes and devices: they belong to a running program and mean nothing in a copy. */
  readonly skipped: string[];
}

/** Lists a directory. Links are not followed. @param leaveOut absolute path → whether it is passed over */
export async function listTree(root: string, leaveOut: (path: string) => boolean): Promise<Tree> {
  const tree: Tree = { entries: [], skipped: [] };
  await visit(root, "", leaveOut, tree);
  return tree;
}

async function visit(root: string, under: string, leaveOut: (path: string) => boolean, tree: Tree): Promise<void> {
  for (const name of (await readdir(join(root, under))).sort()) {
    const path = under === "" ? name : `${under}/${name}`;
    const file = join(root, path);
    if (leaveOut(file)) continue;
    const found = await lstat(file);
    if (found.isDirectory()) {
      tree.entries.push({ kind: "directory", path, mode: found.mode });
      await visit(root, path, leaveOut, tree);
    } else if (found.isFile()) {
      tree.entries.push({ kind: "file", path, mode: found.mode, bytes: found.size, mtimeMs: found.mtimeMs });
    } else if (found.isSymbolicLink()) {
      tree.entries.push({ kind: "link", path, text: await readlink(file) });
    } else {
      tree.skipped.push(path);
    }
  }
}

/**
 * The text of a link's copy, so that it leads to the same thing as before, or to the copy of it:
 * - within the tree, relative: as it is; absolute: made relative, because it would lead out of the snapshot and back into
 *   the directory that the next build overwrites;
 * - out of the tree, relative (pnpm and npm workspaces have such links): made absolute, because from its new place the
 *   text would lead nowhere; absolute: as it is. What is out there is shared and not frozen.
 */
export function linkInCopy(root: string, path: string, text: string): string {
  const from = dirname(join(root, path));
  const target = resolve(from, text);
  const within = target === root || target.startsWith(root + sep);
  if (within) return isAbsolute(text) ? relative(from, target) || "." : text;
  return target;
}

/**
 * The line of an entry in the digest of its tree. Of the mode only the owner's executable bit counts, as in git: the
 * rest follows the umask of whoever built it and would make the same build look like another one.
 */
export async function lineOf(root: string, entry: TreeEntry): Promise<string> {
  switch (entry.kind) {
    case "directory":
      return `directory ${JSON.stringify(entry.path)}\n`;
    case "link":
      return `link ${JSON.stringify(entry.path)} ${JSON.stringify(entry.text)}\n`;
    case "file": {
      const hash = await hashFile(join(root, entry.path));
      return `${entry.mode & 0o100 ? "program" : "file"} ${JSON.stringify(entry.path)} ${hash}\n`;
    }
  }
}

/** @param lines one for each entry, in any order */
export function digestOf(lines: readonly string[]): string {
  const hash: Hash = createHash("sha256");
  for (const line of lines.toSorted()) hash.update(line);
  return `sha256:${hash.digest("hex")}`;
}

async function hashFile(file: string): Promise<string> {
  const hash = createHash("sha256");
  const handle = await open(file, "r");
  try {
    const buffer = Buffer.allocUnsafe(65_536);
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) return hash.digest("hex");
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await handle.close();
  }
}

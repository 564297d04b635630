import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { problemOf } from "@holdover/core";
import type { ApiLog } from "./api-log.ts";

/** Bytes that the files of the page may have together: it is kept in memory, and is a hundredth of that. */
export const PAGE_BYTES_MOST = 16 * 1024 * 1024;

/** What is under it has a hash of its content in its name. */
export const ASSETS = "/assets/";

/** Whether a path is one of the page's: its files hold nothing of what Holdover runs, so they need no token. */
export function isOfPage(path: string): boolean {
  return path === "/" || path.startsWith(ASSETS);
}

const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml; charset=utf-8",
  ".woff2": "font/woff2",
};

/** One file of the page, as it is answered with. */
interface PageFile {
  readonly type: string;
  /** A weak one: it stands for the compressed body too. */
  readonly etag: string;
  readonly body: Buffer;
  /** The same in gzip; null where that is no smaller. */
  readonly gzipped: Buffer | null;
}

/** The files of the page by the path that they are asked for with: `/`, and `/assets/…`. Empty: it is not built. */
export type PageFiles = ReadonlyMap<string, PageFile>;

/**
 * Reads the built page into memory: what is not in it then is never served, whatever path is asked for. A page that is
 * missing or cannot be read does not keep the API from serving everything else.
 * @param directory with `index.html` and `assets/` in it
 */
export async function readPage(directory: string, log: ApiLog): Promise<PageFiles> {
  try {
    const assets = await readdir(join(directory, "assets"), { withFileTypes: true });
    const names = assets.filter((one) => one.isFile()).map(({ name }) => name);
    const files = [
      { path: "/", file: join(directory, "index.html") },
      ...names.map((name) => ({ path: `${ASSETS}${name}`, file: join(directory, "assets", name) })),
    ];
    const sizes = await Promise.all(files.map(async ({ file }) => (await stat(file)).size));
    if (sizes.reduce((sum, size) => sum + size, 0) > PAGE_BYTES_MOST) {
      throw new Error(`its files have over ${PAGE_BYTES_MOST} bytes`);
    }
    return new Map(await Promise.all(files.map(async ({ path, file }) => [path, await readOne(file)] as const)));
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "ENOENT") {
      log.error({ err: thrown, directory }, `the dashboard cannot be served: ${problemOf(thrown)}`);
    }
    return new Map();
  }
}

async function readOne(file: string): Promise<PageFile> {
  const body = await readFile(file);
  const gzipped = await promisify(gzip)(body, { level: 9 });
  return {
    type: TYPES[extname(file)] ?? "application/octet-stream",
    etag: `W/"${createHash("sha256").update(body).digest("base64url")}"`,
    body,
    gzipped: gzipped.length < body.length ? gzipped : null,
  };
}

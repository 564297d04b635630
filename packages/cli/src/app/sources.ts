import { open, readdir } from "node:fs/promises";
import { extname, join } from "node:path";

/** A file of an application's source. */
export interface Source {
  /** From the application's directory. */
  readonly path: string;
  readonly text: string;
}

const LANGUAGES = new Set([
  ".js",
  ".mjs",
  ".cjs",
  ".jsx",
  ".ts",
  ".mts",
  ".cts",
  ".tsx",
  ".py",
  ".go",
  ".rb",
  ".rs",
  ".java",
  ".kt",
  ".cs",
  ".ex",
  ".exs",
  ".php",
]);
/** Not the application's own words, or not what it answers requests with. */
const PASSED_OVER = new Set([
  "node_modules",
  "dist",
  "build",
  "out",
  "vendor",
  "target",
  "coverage",
  "test",
  "tests",
  "__tests__",
  "venv",
  "__pycache__",
]);
const MOST_FILES = 400;
const MOST_DIRECTORIES = 400;
const MOST_BYTES = 256 * 1024;
const DEEPEST = 6;

/** The sources of an application, those nearest to its root first; of a large one only the first so many, and of a large file its beginning. */
export async function sourcesIn(dir: string): Promise<Source[]> {
  const sources: Source[] = [];
  const directories = [{ path: "", depth: 0 }];
  for (const { path, depth } of directories) {
    const entries = await readdir(join(dir, path), { withFileTypes: true }).catch(() => []);
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const found = path === "" ? entry.name : `${path}/${entry.name}`;
      if (entry.name.startsWith(".") || PASSED_OVER.has(entry.name)) continue;
      if (entry.isDirectory() && depth < DEEPEST && directories.length < MOST_DIRECTORIES) {
        directories.push({ path: found, depth: depth + 1 });
      }
      if (!entry.isFile() || !LANGUAGES.has(extname(entry.name)) || /\.(test|spec)\./.test(entry.name)) continue;
      if (sources.length === MOST_FILES) return sources;
      const text = await beginningOf(join(dir, found));
      if (text !== undefined) sources.push({ path: found, text });
    }
  }
  return sources;
}

/** Undefined for a file that cannot be read. */
async function beginningOf(file: string): Promise<string | undefined> {
  try {
    const handle = await open(file);
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(MOST_BYTES), 0, MOST_BYTES, 0);
      return buffer.toString("utf8", 0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch {
    return undefined;
  }
}

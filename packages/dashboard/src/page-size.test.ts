import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";

/** What the whole page may weigh on its way to a browser, bytes. */
const PAGE_BYTES = 60_000;

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const VITE = join(PACKAGE, "..", "..", "node_modules", ".bin", "vite");

let directory = "";
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "holdover-page-"));
  await promisify(execFile)(VITE, ["build", PACKAGE, "--outDir", directory, "--logLevel", "warn"], {
    // A build for whoever tests would not be the one that is served.
    env: { ...process.env, NODE_ENV: "production" },
  });
}, 120_000);
afterAll(() => rm(directory, { recursive: true, force: true }));

async function files(): Promise<{ name: string; body: Buffer }[]> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true });
  return Promise.all(
    found
      .filter((one) => one.isFile())
      .map(async ({ name, parentPath }) => ({ name, body: await readFile(join(parentPath, name)) })),
  );
}

test("the whole page, as it is built and compressed, has 60 kB at the most", async () => {
  const sizes = (await files()).map(({ name, body }) => ({ name, bytes: gzipSync(body, { level: 9 }).length }));
  const bytes = sizes.reduce((sum, one) => sum + one.bytes, 0);
  process.stdout.write(`the page has ${bytes} bytes: ${sizes.map((one) => `${one.name} ${one.bytes}`).join(", ")}\n`);
  expect(sizes.map(({ name }) => extname(name)).toSorted()).toContain(".js");
  expect(bytes).toBeLessThanOrEqual(PAGE_BYTES);
});

test("the page holds no script and no style that its policy would have to let in", async () => {
  const html = (await files()).find(({ name }) => name === "index.html")?.body.toString() ?? "";
  expect(html).toMatch(/<script [^>]*src="\.\/assets\//);
  expect(html).not.toMatch(/<script(?![^>]* src=)[^>]*>|<style|\sstyle=|\son\w+=|javascript:/i);
  // Nothing comes from elsewhere: the namespace of an SVG is a name, and no address that is fetched.
  expect(html.replaceAll("http://www.w3.org/2000/svg", "")).not.toMatch(/(?:src|href)="(?:https?:)?\/\//);
});

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const BIN = `${ROOT}node_modules/.bin/`;

test("bundled and minified it has at most 5 kB gzipped, and imports nothing", async () => {
  const { stdout: bundle } = await run(
    `${BIN}rolldown`,
    ["packages/client/src/index.ts", "--minify", "--format", "esm", "--platform", "browser"],
    { cwd: ROOT },
  );
  expect(bundle).toContain("holdover");
  expect(bundle).not.toMatch(/\bimport\b|\brequire\(/);
  expect(gzipSync(bundle, { level: 9 }).length).toBeLessThanOrEqual(5000);
});

test("it compiles with the types of a browser alone", async () => {
  await expect(run(`${BIN}tsc`, ["-p", "packages/client/tsconfig.json"], { cwd: ROOT })).resolves.toMatchObject({
    stdout: "",
  });
});

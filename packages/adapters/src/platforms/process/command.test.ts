import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkCommand } from "./command.ts";

let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "holdover-command-"));
  await mkdir(join(dir, "bin"));
  await writeFile(join(dir, "bin/run"), "#!/bin/sh\n");
  await chmod(join(dir, "bin/run"), 0o755);
  await writeFile(join(dir, "bin/text"), "no program");
  await chmod(join(dir, "bin/text"), 0o644);
  await writeFile(join(dir, "server.js"), "");
});

afterAll(async () => {
  await rm(dir, { recursive: true, force: true });
});

describe("a command that can be run passes", () => {
  test.each([
    [["sh"]],
    [["./bin/run", "missing.js"]],
    [["bin/run"]],
    [["node", "server.js"]],
    [["node", "./server"]],
    [["node", "--enable-source-maps", "server.js", "other.js"]],
    [["node", "."]],
    [["node", "-e", "require('./x.js')"]],
    [["node"]],
    [["sh", "-c", "exec ./missing.sh"]],
    [["bash", "-c", "a/b"]],
  ])("%j", async (command) => {
    await expect(checkCommand(command, dir)).resolves.toBeUndefined();
  });
});

describe("a command that cannot be run is COMMAND_MISSING, with what is missing", () => {
  test.each([
    [["no-such-program-anywhere"], "no-such-program-anywhere"],
    [["./bin/none"], "./bin/none"],
    [["bin/text"], "bin/text"],
    [["./bin"], "./bin"],
    [[""], ""],
    [["node", "sever.js"], "sever.js"],
    [["node", "--inspect", "dist/server"], "dist/server"],
    [["sh", "start.sh"], "start.sh"],
  ])("%j", async (command, missing) => {
    await expect(checkCommand(command, dir, "web")).rejects.toMatchObject({
      code: "COMMAND_MISSING",
      details: { command: missing, dir, service: "web" },
    });
  });
});

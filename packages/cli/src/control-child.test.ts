import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { keepControl } from "./control-child.ts";
import { makeStateDir, stateDirOf, type StateDir } from "./state-dir.ts";
import { systemClock } from "./system-clock.ts";

let state: StateDir;

beforeEach(async () => {
  state = stateDirOf(await mkdtemp(join(tmpdir(), "holdover-child-")));
  await makeStateDir(state);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(state.dir, { recursive: true });
});

test("a control process that ends without a word is given up after a few attempts, by name and with its log", async () => {
  vi.stubEnv("NODE_OPTIONS", "--import=data:text/javascript,process.exit(3)");
  const exits: unknown[] = [];
  const control = await keepControl(
    state,
    systemClock,
    () => {},
    (event, detail) => void (event === "control.exited" && exits.push(detail["how"])),
  );
  await expect(control.listening).rejects.toMatchObject({
    code: "CONTROL_NOT_UP",
    message: expect.stringContaining("exit code 3"),
    details: { file: join(state.logs, "control.log") },
  });
  await control.stop();
  expect(exits).toEqual(["exit code 3", "exit code 3", "exit code 3", "exit code 3"]);
});

test("what a control process says of its failed start is passed on as it is", async () => {
  const control = await keepControl(
    state,
    systemClock,
    () => {},
    () => {},
  );
  await expect(control.listening).rejects.toMatchObject({
    code: "INTERNAL",
    message: expect.stringContaining("config.json"),
  });
  await control.stop();
});

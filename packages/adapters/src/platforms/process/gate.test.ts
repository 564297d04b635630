import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runGate, type GateSpec } from "./gate.ts";
import { factsOf } from "./process-table.ts";

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "holdover-gate-"));
});

afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

function gate(script: string, changes: Partial<GateSpec> = {}): GateSpec {
  const logFile = join(dir, "logs/web/v1/gate.log");
  return { command: ["sh", "-c", script], cwd: dir, env: {}, timeoutMs: 20_000, logFile, ...changes };
}

async function gone(pid: number): Promise<void> {
  while (factsOf(pid)?.defunct === false) await new Promise((resolve) => setTimeout(resolve, 5));
}

test("a gate that exits with 0 has passed; it ran in its directory with its variables", async () => {
  const spec = gate('test "$PWD" = "$(pwd)" && echo "$HOLDOVER_URL"', { env: { HOLDOVER_URL: "http://127.0.0.1:1" } });
  expect(await runGate(spec)).toEqual({ passed: true });
  expect(await readFile(spec.logFile, "utf8")).toBe("http://127.0.0.1:1\n");
  expect((await stat(spec.logFile)).mode & 0o777).toBe(0o600);
});

test("a gate that exits otherwise has not, and its refusal holds what this run wrote, and no other", async () => {
  expect(await runGate(gate("echo from an earlier run"))).toEqual({ passed: true });
  expect(await runGate(gate("echo checking; echo 'no: 2 of 3' >&2; exit 4"))).toEqual({
    passed: false,
    problem: "exit code 4",
    log: ["checking", "no: 2 of 3"],
  });
});

test("a gate that a signal ends has not passed", async () => {
  expect(await runGate(gate("kill -SEGV $$"))).toMatchObject({ passed: false, problem: "signal SIGSEGV" });
});

test("a gate that takes too long is killed with its group", async () => {
  const result = await runGate(gate("trap '' TERM; sleep 60 & echo $!; wait", { timeoutMs: 500 }));
  expect(result).toMatchObject({ passed: false, problem: "it did not end within 500ms" });
  await gone(Number(result.passed ? 0 : result.log[0]));
});

test("what a gate leaves in the background is killed when it has ended", async () => {
  const spec = gate("sleep 60 & echo $!");
  expect(await runGate(spec)).toEqual({ passed: true });
  await gone(Number(await readFile(spec.logFile, "utf8")));
});

test("a gate that cannot be run has not passed", async () => {
  const nowhere = gate("", { command: ["no-such-program-anywhere"] });
  expect(await runGate(nowhere)).toMatchObject({ passed: false, problem: expect.stringContaining("ENOENT") as string });
  await writeFile(join(dir, "file"), "");
  const noLog = gate("true", { logFile: join(dir, "file", "gate.log") });
  expect(await runGate(noLog)).toMatchObject({ passed: false, log: [] });
});

import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { factsOf, groupRuns, parseStat, signalGroup, startTimeByPs, startTimeOf, stillRuns } from "./process-table.ts";

test("a line of /proc/<pid>/stat is read although the name holds parentheses and spaces", () => {
  const line = `42 (a) b (c) Z 7 40 39 0 -1 4194304 104 0 0 0 0 0 0 0 20 0 1 0 183366 3133440 416\n`;
  expect(parseStat(line, "boot")).toEqual({
    pid: 42,
    name: "a) b (c",
    defunct: true,
    parent: 7,
    group: 40,
    session: 39,
    startTime: "boot/183366",
  });
  expect(parseStat("", "boot")).toBeNull();
});

describe.runIf(process.platform === "linux")("a process", () => {
  test("is known by pid and start time together, until it ends", async () => {
    const child = spawn("sleep", ["60"], { detached: true, stdio: "ignore" });
    const pid = Number(child.pid);
    try {
      const startTime = await startTimeOf(pid);
      expect(startTime).not.toBeNull();
      expect(stillRuns(pid, String(startTime))).toBe(true);
      expect(stillRuns(pid, "another/1")).toBe(false);
      expect(factsOf(pid)).toMatchObject({ group: pid, session: pid, parent: process.pid, defunct: false });
      expect(await startTimeByPs(pid)).toMatch(/\d\d:\d\d:\d\d \d{4}$/);
      expect(signalGroup(pid, "another/1", "SIGKILL")).toBe(false);
      expect(await groupRuns(pid)).toBe(true);
    } finally {
      expect(signalGroup(pid, null, "SIGKILL")).toBe(true);
      await once(child, "exit");
    }
    expect(stillRuns(pid, "another/1")).toBe(false);
    expect(await startTimeOf(pid)).toBeNull();
    expect(await startTimeByPs(pid)).toBeNull();
    expect(await groupRuns(pid)).toBe(false);
  });
});

test("no pid is signalled that would mean more than one group", () => {
  for (const pid of [1, 0, -1, Number.NaN]) {
    expect(() => signalGroup(pid, null, "SIGKILL")).toThrow("is not the pid of an instance");
  }
});

import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findingOf, short, type Finding, type Target } from "./finding.ts";
import type { PinsRead } from "./pins-process.ts";
import type { Extent, Say } from "./stage.ts";

const PROCESS = fileURLToPath(new URL("pins-process.ts", import.meta.url));
const FILL_MS = 90_000;
const READ_MS = 60_000;

/**
 * A router's sessions on the store of a host that was killed, with many pins: how long until they are back in memory,
 * what each takes there, and how long a known key is looked up. In a process of its own, for a heap of its own.
 */
export async function pins({ pins }: Extent, say: Say): Promise<Finding[]> {
  const directory = await mkdtemp(join(tmpdir(), "holdover-bench-pins-"));
  try {
    await fill(directory, pins, say);
    say(`pins: ${short(pins)} are read back`);
    const read = await readBack(directory, pins);
    const held = `${short(pins)} pins held`;
    const line = (what: string, unit: string, value: number, bound: number | null, detail?: Finding["detail"]) => {
      const target: Target | null = bound === null ? null : { of: "value", limit: "≤", bound };
      return findingOf(what, unit, new Map([["holdover", [value]]]), target, detail);
    };
    return [
      line(`a known key placed, ${held}, p50`, "µs", read.p50Us, null),
      line(`a known key placed, ${held}, p99`, "µs", read.p99Us, 10, { mostUs: read.mostUs }),
      line("memory a pin, heap", "B", read.heapBytesAPin, 400, { rssBytesAPin: read.rssBytesAPin }),
      line(`${short(pins)} pins read back after a kill`, "s", read.readBackSeconds, 3, {
        cpuSeconds: read.readBackCpuSeconds,
        openFileSeconds: read.openFileSeconds,
      }),
    ];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function fill(directory: string, pins: number, say: Say): Promise<void> {
  const child = start("fill", directory, pins);
  try {
    await answer(child, FILL_MS, (stored) => {
      say(`pins: ${short(stored as number)} of ${short(pins)} stored`);
      return stored === pins;
    });
  } finally {
    await end(child);
  }
}

async function readBack(directory: string, pins: number): Promise<PinsRead> {
  const child = start("read", directory, pins);
  try {
    return (await answer(child, READ_MS, () => true)) as PinsRead;
  } finally {
    await end(child);
  }
}

function start(task: "fill" | "read", directory: string, pins: number): ChildProcess {
  return fork(PROCESS, [task, directory, String(pins)], {
    execArgv: ["--expose-gc"],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
}

/** The first message that is the one. @throws Error when the process ends before, or it does not come in time */
function answer(child: ChildProcess, withinMs: number, isIt: (message: unknown) => boolean): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`pins: nothing came within ${withinMs} ms`)), withinMs);
    const ended = (code: number | null) => {
      clearTimeout(timer);
      reject(new Error(`pins: the process ended with ${code}`));
    };
    child.once("exit", ended);
    child.on("message", (message) => {
      if (!isIt(message)) return;
      clearTimeout(timer);
      child.off("exit", ended);
      resolve(message);
    });
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";

/** The pool in a process of its own, with real signals. */
interface Child {
  readonly said: string[];
  send(line: string): void;
  signal(name: NodeJS.Signals): void;
  /** Resolves when it has said this. */
  says(line: string): Promise<void>;
  /** Its exit code, or the signal that ended it, once it has said all. */
  readonly ended: Promise<number | string | null>;
}

const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "close");
    }
  }
});

async function start(...args: string[]): Promise<Child> {
  const script = fileURLToPath(new URL("pool-child.ts", import.meta.url));
  const child = spawn(process.execPath, [script, ...args], { stdio: ["pipe", "pipe", "inherit"] });
  children.push(child);
  const said: string[] = [];
  const waiting = new Set<() => void>();
  createInterface({ input: child.stdout }).on("line", (line) => {
    said.push(line);
    for (const look of waiting) look();
  });
  const ended = once(child, "close").then(([code, signal]: (number | string | null)[]) => signal ?? code ?? null);
  const says = (line: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (!said.includes(line)) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
      void ended.then((how) => reject(new Error(`it ended (${how}) and never said ${line}, but ${said.join("; ")}`)));
    });
  await says("begins");
  return {
    said,
    send: (line) => void child.stdin.write(`${line}\n`),
    signal: (name) => void child.kill(name),
    says,
    ended,
  };
}

test.each(["SIGTERM", "SIGINT"] as const)(
  "%s: takes nothing more, runs what it has to its end, and the process ends by itself",
  async (signal) => {
    const child = await start();
    for (const key of ["a", "b"]) {
      child.send(`ask ${key}`);
      await child.says(`taken ${key}`);
    }
    child.signal(signal);
    await child.says(`pool.draining: ${signal} came`);
    child.send("ask c");
    await child.says("refused c draining");
    child.send("finish a");
    await child.says("ended a completed");
    child.send("finish b");
    expect(await child.ended).toBe(0);
    expect(child.said.slice(-4)).toEqual([
      "ended b completed",
      "pool.drained: the last session has ended",
      "told of 2 ends, closed: true",
      "other work is done",
    ]);
  },
);

test("stays while it waits for jobs although nothing else holds it, and ends at once by SIGTERM then", async () => {
  const child = await start();
  child.send("ask a");
  await child.says("taken a");
  child.send("finish a");
  await child.says("ended a completed");
  child.send("ask b");
  await child.says("taken b");
  child.send("finish b");
  await child.says("ended b completed");
  child.signal("SIGTERM");
  expect(await child.ended).toBe(0);
});

test("a second SIGTERM cuts what is left, and the process ends with 1 as soon as the agents have returned", async () => {
  const child = await start();
  for (const key of ["a", "b"]) {
    child.send(`ask ${key}`);
    await child.says(`taken ${key}`);
  }
  child.signal("SIGTERM");
  await child.says("pool.draining: SIGTERM came");
  child.signal("SIGTERM");
  expect(await child.ended).toBe(1);
  expect(child.said.slice(-6)).toEqual([
    "pool.forced: SIGTERM came a second time",
    "ended a cut",
    "ended b cut",
    "pool.drained: the last session has ended",
    "told of 2 ends, closed: true",
    "other work is done",
  ]);
});

test("a second SIGTERM ends the process also where agents do not return", async () => {
  const child = await start("deaf");
  child.send("ask a");
  await child.says("taken a");
  child.signal("SIGTERM");
  await child.says("pool.draining: SIGTERM came");
  child.signal("SIGTERM");
  expect(await child.ended).toBe(1);
  expect(child.said.at(-1)).toBe("pool.drained: the last session has ended");
  expect(child.said).toContain("ended a cut");
});

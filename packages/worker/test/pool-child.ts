import { createInterface } from "node:readline";
import { MemoryDispatcher } from "@holdover/testkit/memory-dispatcher";
import { AgentPool, type Job } from "../src/index.ts";

/**
 * A pool in a process of its own, as an application has it: `node pool-child.ts [deaf]`. Each line of its input asks for
 * a session or ends one, and each line of its output tells what became of it. With `deaf`, agents never return.
 */
const isDeaf = process.argv[2] === "deaf";
const dispatcher = new MemoryDispatcher();
const finish = new Map<string, () => void>();
const say = (line: string): boolean => process.stdout.write(`${line}\n`);

const pool = new AgentPool({
  agents: {
    default: ({ session, signal }: Job) =>
      new Promise((resolve) => {
        say(`started ${session.key}`);
        // A connection of its own, as a call has it: the process would not end for as long as it is there.
        const held = setInterval(() => {}, 60_000);
        const end = (): void => {
          clearInterval(held);
          resolve();
        };
        finish.set(session.key, end);
        if (!isDeaf) signal.addEventListener("abort", end);
      }),
  },
  dispatcher,
  deploymentVersion: "v1",
  maxConcurrentSessions: 10,
  cutGrace: isDeaf ? 50 : 600_000,
  observers: [{ onSessionEnd: ({ key }, outcome) => say(`ended ${key} ${outcome}`) }],
  auditSink: ({ kind, reason }) => say(`${kind}: ${reason}`),
  log: () => {},
});

const lines = createInterface({ input: process.stdin });
const ask = async (key: string): Promise<void> => {
  const told = await dispatcher.ask({ key });
  say(told.taken ? `taken ${key}` : `refused ${key} ${told.why}`);
};
lines.on("line", (line) => {
  const [word, key = ""] = line.split(" ");
  if (word === "finish") finish.get(key)?.();
  else void ask(key);
});
// Whoever tells it what to do is no reason to go on.
(process.stdin as unknown as { unref(): void }).unref();

say("begins");
await pool.run();
say(`told of ${dispatcher.finishedJobs.length} ends, closed: ${dispatcher.closed}`);
// Somebody else's work, which a process that ends by itself lets come to its end.
setTimeout(() => say("other work is done"), 20);

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** A process with a store of its own, for tests that let it die. */
export interface StoreChild {
  /** What it has said so far. */
  readonly lines: readonly string[];
  /** Waits until it says this. @throws Error when it ends before */
  readonly line: (text: string) => Promise<void>;
  /** Waits until it has said so many lines. @throws Error when it ends before */
  readonly lineCount: (count: number) => Promise<void>;
  /** Lets its `told()` resolve. */
  readonly tell: () => void;
  /** Ends it by SIGKILL, and waits until all that it had said is in `lines`. */
  readonly kill: () => Promise<void>;
  /** It is gone and all that it had said is in `lines`. */
  readonly ended: Promise<void>;
}

/**
 * Starts a process that opens `store`, or says the code of the error, and then runs `body`, which may use `store`,
 * `say(text)` (written when it returns), `told()` and, for a host store, `place(key)`.
 */
export function startChild(opener: "openHostStore" | "openControlStore", file: string, body: string): StoreChild {
  const program = `
    import { writeSync } from "node:fs";
    import { once } from "node:events";
    import { ${opener} } from ${JSON.stringify(new URL("index.ts", import.meta.url).href)};
    const say = (text) => writeSync(1, text + "\\n");
    const told = () => once(process.stdin, "data").finally(() => process.stdin.destroy());
    let store;
    try {
      store = ${opener}(${JSON.stringify(file)});
    } catch (thrown) {
      say(thrown.code);
      process.exit(1);
    }
    const at = { service: "chat", release: "v1", instance: "chat-v1-1", openedAtMs: 1, label: null };
    const place = (key) => store.pins.place({ ...at, key }, null, 1);
    ${body}
  `;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout });
  const waiting = new Set<() => void>();
  reader.on("line", (line) => {
    lines.push(line);
    for (const look of waiting) look();
  });
  const ended = Promise.all([once(child, "close"), once(reader, "close")]).then(() => {
    for (const look of waiting) look();
  });
  let gone = false;
  void ended.then(() => (gone = true));

  function until(holds: () => boolean, what: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = (): void => {
      if (holds()) resolve();
      else if (gone || child.exitCode !== null)
        reject(new Error(`it ended before it said ${what}: ${lines.join(", ")}`));
      else return;
      waiting.delete(look);
    };
    waiting.add(look);
    look();
    return promise;
  }

  return {
    lines,
    line: (text) => until(() => lines.includes(text), text),
    lineCount: (count) => until(() => lines.length >= count, `${count} lines`),
    tell: () => child.stdin.end("now\n"),
    kill: async () => {
      child.kill("SIGKILL");
      await ended;
    },
    ended,
  };
}

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface, type Interface } from "node:readline";
import { isatty } from "node:tty";

/**
 * Calls back whenever a person types this line, where there is a terminal and this process is in its foreground: the kernel
 * stops whoever reads from the background, and all that was started with it. `fg` begins to listen again, `bg` ends it.
 * @returns what ends it for good
 */
export function onLine(wanted: string, typed: () => void, listening: () => void): () => void {
  if (!isatty(0)) return () => {};
  let reader: Interface | undefined;
  const look = (): void => {
    reader?.close();
    reader = undefined;
    if (!inForeground()) return;
    reader = createInterface({ input: process.stdin, terminal: false });
    reader.on("line", (line) => {
      if (line.trim() === wanted) typed();
    });
    listening();
  };
  look();
  process.on("SIGCONT", look);
  return () => {
    process.off("SIGCONT", look);
    reader?.close();
    reader = undefined;
  };
}

function inForeground(): boolean {
  if (process.platform === "linux") {
    const stat = readFileSync("/proc/self/stat", "utf8");
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return group === foreground;
  }
  return (
    spawnSync("ps", ["-o", "stat=", "-p", String(process.pid)], { encoding: "utf8" }).stdout?.includes("+") ?? false
  );
}

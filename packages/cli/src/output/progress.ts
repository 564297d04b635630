import type { Terminal } from "../terminal.ts";
import { cut } from "./table.ts";

/** Steps of something that takes a while, on standard error. */
export interface Progress {
  /** On a terminal the line is redrawn; elsewhere each step is told once, on a line of its own. */
  step(text: string): void;
  /** A line that stays. */
  note(text: string): void;
  /** Takes the line that is being redrawn off the screen. */
  done(): void;
}

/** @param quiet say nothing at all */
export function createProgress(terminal: Pick<Terminal, "stderr">, quiet: boolean): Progress {
  const { stderr } = terminal;
  const redraws = stderr.isTTY === true;
  let shown = "";
  const clear = () => {
    if (redraws && shown !== "") stderr.write("\r\u001b[2K");
  };
  return {
    step(text) {
      if (quiet || text === shown) return;
      clear();
      stderr.write(redraws ? cut(text, (stderr.columns ?? 80) - 1) : `${text}\n`);
      shown = text;
    },
    note(text) {
      if (quiet) return;
      clear();
      stderr.write(`${text}\n`);
      // What was being redrawn comes again with the next step, although it is the same.
      shown = "";
    },
    done() {
      clear();
      shown = "";
    },
  };
}

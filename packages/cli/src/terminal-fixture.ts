import { Readable } from "node:stream";
import type { Output, Terminal } from "./terminal.ts";

/** A terminal, or a pipe, whose every letter is kept. */
export interface FakeTerminal extends Terminal {
  readonly out: () => string;
  readonly err: () => string;
  /** Ctrl-C. */
  interrupt(): void;
}

export interface FakeTerminalOptions {
  readonly cwd: string;
  readonly isTTY?: boolean;
  /** What is typed. */
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly columns?: number;
  /** Epoch time in ms; stands still. */
  readonly nowMs?: number;
  /** Runs in place of each wait. */
  readonly onPause?: (ms: number, terminal: FakeTerminal) => void;
}

export function fakeTerminal(options: FakeTerminalOptions): FakeTerminal {
  const isTTY = options.isTTY ?? false;
  const listeners = new Set<() => void>();
  const [stdout, out] = collector(isTTY, options.columns);
  const [stderr, err] = collector(isTTY, options.columns);
  const terminal: FakeTerminal = {
    cwd: options.cwd,
    env: options.env ?? {},
    stdin: Object.assign(Readable.from(options.input === undefined ? [] : [options.input]), { isTTY }),
    stdout,
    stderr,
    out,
    err,
    now: () => options.nowMs ?? 0,
    async pause(ms) {
      options.onPause?.(ms, terminal);
      await new Promise<void>((resolve) => setImmediate(resolve));
    },
    onInterrupt(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    interrupt() {
      for (const listener of listeners) listener();
    },
  };
  return terminal;
}

function collector(isTTY: boolean, columns = 80): [Output, () => string] {
  const parts: string[] = [];
  return [{ isTTY, columns, rows: 24, write: (text) => parts.push(text) }, () => parts.join("")];
}

import { styleText } from "node:util";

/** Tells of steps: a line that lives while a step runs, on a terminal; one plain line for each step in a pipe. */
export interface Progress {
  /** @param work gives back what the finished line says beside the title */
  step(title: string, work: () => Promise<string>): Promise<void>;
  line(text: string): void;
}

const REDRAW_MS = 150;
const TITLE_COLUMNS = 46;

/** @param live what is going on at the moment, for the line of the running step */
export function showProgress(out: NodeJS.WriteStream, live: () => string): Progress {
  const paint = (style: "green" | "cyan" | "dim", text: string) => styleText(style, text, { stream: out });
  const redraw = (text: string) => out.write(`\r\u001b[2K${text.slice(0, (out.columns || 80) - 1)}`);
  return {
    async step(title, work) {
      const startedAt = performance.now();
      const drawing = out.isTTY
        ? setInterval(() => redraw(`… ${title.padEnd(TITLE_COLUMNS)} ${live()}`), REDRAW_MS)
        : undefined;
      try {
        const result = await work();
        if (out.isTTY) redraw("");
        const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
        out.write(`${paint("green", "✔")} ${title.padEnd(TITLE_COLUMNS)} ${result} ${paint("dim", `${seconds} s`)}\n`);
      } catch (error) {
        if (out.isTTY) out.write("\n");
        throw error;
      } finally {
        clearInterval(drawing);
      }
    },
    line(text) {
      out.write(`${text}\n`);
    },
  };
}

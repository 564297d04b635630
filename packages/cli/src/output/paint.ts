import { styleText } from "node:util";

export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "blue" | "magenta" | "cyan" | "inverse";

export type Paint = (style: Style, text: string) => string;

export function painter(enabled: boolean): Paint {
  // Whether the stream takes colour is settled by the caller: styleText would ask the process's own stdout.
  return (style, text) => (enabled ? styleText(style, text, { validateStream: false }) : text);
}

const STATES: Readonly<Record<string, Style>> = {
  starting: "yellow",
  ready: "blue",
  ramping: "cyan",
  current: "green",
  retained: "magenta",
  expiring: "yellow",
  retired: "dim",
  failed: "red",
  draining: "yellow",
  stopped: "dim",
  lost: "red",
};

/** The style of a state of a release or an instance. */
export function styleOfState(state: string): Style {
  return STATES[state] ?? "dim";
}

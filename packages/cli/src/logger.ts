import { pino, type Logger } from "pino";

/**
 * Writes JSON lines to a file, or to standard output where none is named. A line that cannot be written (the disk is
 * full) is lost: a process that serves live sessions never ends for its log.
 */
export function createLogger(name: string, file?: string): Logger {
  const destination = pino.destination({
    ...(file === undefined ? { fd: 1 } : { dest: file, mode: 0o600 }),
    sync: true,
  });
  destination.on("error", () => {});
  return pino({ name, timestamp: pino.stdTimeFunctions.isoTime }, destination);
}

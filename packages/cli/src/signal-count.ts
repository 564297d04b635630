/**
 * A signal that comes again within this, ms, is the same one: Ctrl-C goes to all that runs in the terminal, and npm and
 * whatever else is above passes it on to what it has started as well.
 */
const SAME_SIGNAL_MS = 500;

/**
 * Counts how often this process was asked to end.
 * @returns for each signal its number, from 1; null for an echo
 */
export function createSignalCount(): (signal: string, nowMs: number) => number | null {
  const counted = new Map<string, number>();
  let count = 0;
  return (signal, nowMs) => {
    const lastMs = counted.get(signal);
    if (lastMs !== undefined && nowMs - lastMs < SAME_SIGNAL_MS) return null;
    counted.set(signal, nowMs);
    count += 1;
    return count;
  };
}

import { asHoldoverError } from "@holdover/core";

/** What a signal can do to a worker. */
export interface Signalled {
  readonly isDraining: () => boolean;
  readonly drain: () => Promise<void>;
  readonly force: (signal: string) => unknown;
}

/** SIGTERM drains, and forces the end of one that drains already. Returns what takes it off again. */
export function onSignals({ isDraining, drain, force }: Signalled): () => void {
  const heard = (signal: string): void => {
    if (isDraining()) return void force(signal);
    drain().catch((thrown: unknown) => process.stderr.write(`holdover: ${asHoldoverError(thrown).message}\n`));
  };
  process.on("SIGTERM", heard);
  return () => void process.off("SIGTERM", heard);
}

import { asHoldoverError } from "@holdover/core";

/** The first SIGTERM drains, the next one forces. Returns what takes them off again. */
export function onSignals(drain: () => Promise<void>, force: (signal: string) => unknown): () => void {
  let asked = false;
  const heard = (signal: string): void => {
    if (asked) return void force(signal);
    asked = true;
    drain().catch((thrown: unknown) => process.stderr.write(`holdover: ${asHoldoverError(thrown).message}\n`));
  };
  process.on("SIGTERM", heard);
  return () => void process.off("SIGTERM", heard);
}

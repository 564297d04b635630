// A host process for adoption.test.ts, to be killed: starts the instances whose specs it is given, and tells when they are ready.
import type { InstanceSpec } from "@holdover/core";
import { createProcessPlatform } from "./platform.ts";

const { stateDir, specs } = JSON.parse(process.argv[2] ?? "") as { stateDir: string; specs: InstanceSpec[] };
const clock = {
  now: () => Date.now(),
  after(ms: number, run: () => void) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};
const platform = createProcessPlatform({ stateDir, clock });
await platform.adopt();
platform.subscribe(() => {
  const instances = platform.instances() ?? [];
  if (instances.length === specs.length && instances.every((one) => one.state.name === "ready")) {
    process.stdout.write(`${JSON.stringify(instances)}\n`);
  }
});
for (const spec of specs) await platform.start(spec);

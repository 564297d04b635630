import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describePlatform } from "../../../../testkit/src/conformance/platform.ts";
import { createSandbox } from "./sandbox.ts";

describePlatform("the process platform", async () => {
  const sandbox = await createSandbox();
  const platform = sandbox.platform();
  return {
    platform,
    snapshot: sandbox.snapshot,
    open: () => platform.adopt(),
    async impossible(spec) {
      await mkdir(join(sandbox.stateDir, "logs", spec.service), { recursive: true });
      await writeFile(join(sandbox.stateDir, "logs", spec.service, spec.release), "a file where a directory has to be");
      return spec;
    },
    async crash({ pid }) {
      if (pid !== null) process.kill(pid, "SIGKILL");
    },
    dispose: () => sandbox.dispose(),
  };
});

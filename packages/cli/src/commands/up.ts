import { asHoldoverError } from "@holdover/core";
import type { Command } from "commander";
import type { HostMessage } from "../background.ts";
import type { Cli } from "../cli.ts";
import { loadConfig } from "../config/load.ts";
import { findConfig } from "../config/locate.ts";
import { addExamples } from "../help-text.ts";

interface UpOptions {
  readonly configFile: string;
  readonly detach: boolean;
  readonly json: boolean;
}

export function addUp(program: Command, cli: Cli): void {
  const command = program
    .command("up")
    .description("Start Holdover: the router, the control process and the first release of each service")
    .option("-d, --detach", "go to the background once it serves")
    .action(
      cli.action(async ({ detach = false }: { detach?: boolean }) => {
        const configFile = await findConfig(cli.configOption, cli.terminal.cwd);
        return runUp({ configFile, detach, json: cli.json });
      }),
    );
  addExamples(command, [
    ["holdover up", "until Ctrl-C: it waits for live sessions, a second cuts them"],
    ["holdover up -d", "in the background; end it with `holdover down`"],
  ]);
}

/**
 * Runs Holdover until it ends; with `detach`, until it serves.
 * @returns the exit code
 * @throws HoldoverError CONFIG_MISSING, CONFIG_INVALID, and what the host meets on its start
 */
async function runUp({ configFile, detach, json }: UpOptions): Promise<number> {
  const { config, file, dir, stateDir } = await loadConfig(configFile);
  if (detach) {
    // Only `up` needs the router and the stores: the other commands start without loading them.
    const { startInBackground } = await import("../background.ts");
    const { pid, ...addresses } = await startInBackground(file, stateDir);
    if (json) console.log(JSON.stringify({ ready: true, pid, ...addresses }));
    else {
      console.log(`Holdover serves ${addresses.listen} in the background (pid ${pid}); the API: ${addresses.api}`);
      console.log("See it: npx holdover dashboard");
    }
    return 0;
  }
  const { runForeground } = await import("../foreground.ts");
  // The parent may have gone; with a callback that is no error.
  const tellParent = (message: HostMessage): void => void process.send?.(message, () => {});
  try {
    return await runForeground({
      config,
      configDir: dir,
      stateDir,
      json,
      print: (line) => console.log(line),
      isTerminal: process.stdout.isTTY,
      onReady: (addresses) => tellParent({ type: "ready", addresses }),
      onClosing: () => tellParent({ type: "closing" }),
    });
  } catch (thrown) {
    tellParent({ type: "failed", error: asHoldoverError(thrown).body() });
    throw thrown;
  }
}

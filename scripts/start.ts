import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { HostMessage } from "../packages/cli/src/background.ts";
import { onLine } from "./visitors/terminal-lines.ts";
import { createVisitors, type Visitors } from "./visitors/visitors.ts";

/**
 * `npm start`: `holdover up` on the sample service of this repository, and simulated visitors in its rooms.
 * `--no-visitors` leaves them out; so does a configuration of your own. All other words go to `holdover up`, and what comes
 * out of it, its signals and its exit code are those of `holdover up`.
 */

const HOLDOVER = fileURLToPath(new URL("../packages/cli/bin/holdover.js", import.meta.url));
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const WITHOUT = "--no-visitors";

const words = process.argv.slice(2);
const passedOn = words.filter((word) => word !== WITHOUT);
const own = passedOn.some((word) => word.startsWith("--config"));
const quiet = passedOn.includes("--json");

const host = spawn(process.execPath, [HOLDOVER, "up", ...passedOn], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
let visitors: Visitors | undefined;
let stopListening = (): void => {};

host.on("message", (message: HostMessage) => {
  if (message.type === "ready" && !own && !words.includes(WITHOUT)) startVisitors(message.addresses.listen);
  if (message.type === "closing") stopVisitors();
});
host.once("error", (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
host.once("exit", (code, signal) => {
  stopVisitors();
  for (const name of SIGNALS) process.off(name, passOn);
  if (signal) process.kill(process.pid, signal);
  else process.exitCode = code ?? 1;
});
// Whoever watches may go, as the end of a pipe: Holdover goes on.
process.stdout.on("error", () => {});
// In a terminal Ctrl-C reaches both; Holdover takes what comes twice for one.
for (const signal of SIGNALS) process.on(signal, passOn);

function passOn(signal: NodeJS.Signals): void {
  host.kill(signal);
}

function startVisitors(url: string): void {
  visitors = createVisitors(url);
  visitors.come();
  const here = "simulated visitors come and go in 5 to 25 rooms named sample-1, sample-2 …";
  say(`${here}  npm start -- ${WITHOUT} leaves them out`);
  const switchOver = (): void => {
    if (visitors?.coming) {
      visitors.leave();
      say("the simulated visitors have left; v and Enter lets them come again");
    } else if (visitors) {
      visitors.come();
      say(`${here}  v and Enter sends them home`);
    }
  };
  stopListening = onLine("v", switchOver, () => say("v and Enter sends them home"));
}

function stopVisitors(): void {
  visitors?.leave();
  visitors = undefined;
  stopListening();
}

function say(text: string): void {
  if (!quiet) console.log(`${new Date().toTimeString().slice(0, 8)}  ${text}`);
}

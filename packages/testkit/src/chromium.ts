import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { mkdir } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { chromium, type Browser } from "playwright-core";
import { REPOSITORY } from "./cluster.ts";

/** Under these names it is looked for on the PATH. */
const NAMES = ["chromium", "chromium-browser", "google-chrome"];
/** apt-get fetches about 100 MB; what takes longer than this, ms, has no network. */
const INSTALL_MS = 300_000;
const LAUNCH_MS = 60_000;

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // A camera that shows a turning pie, a microphone that beeps, and nobody who has to be asked for them.
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
  // Candidates with addresses: there is no mDNS to resolve names where tests run.
  "--disable-features=WebRtcHideLocalIpsWithMdns",
  // Several windows are open at once, and only one of them is in front.
  "--disable-background-timer-throttling",
  "--disable-backgrounding-occluded-windows",
  "--disable-renderer-backgrounding",
];

/** The Chromium of this machine, or why tests have to go without. */
export type FoundChromium = { readonly path: string } | { readonly path: null; readonly why: string };

/**
 * `CHROMIUM`, or what is on the PATH, or Debian's package, which is installed where this process may do so.
 * @param skipped what cannot be tested without; is named in a message of its own where there is none
 */
export async function findChromium(skipped: string): Promise<FoundChromium> {
  const found = await lookFor();
  if (found.path === null)
    process.stderr.write(
      `\nSKIPPED, for there is no Chromium: ${skipped}\n  ${found.why}\n  Get it: apt-get install chromium, or CHROMIUM=/path/to/chromium\n\n`,
    );
  return found;
}

/** A browser of its own, with a fake camera and microphone. Whoever opens it closes it. @throws where it does not start */
export function openChromium(path: string): Promise<Browser> {
  return chromium.launch({ executablePath: path, args: FLAGS, timeout: LAUNCH_MS });
}

/** Where a run leaves what people want to look at: a path in `artefacts/`, which git ignores. */
export async function artefact(name: string): Promise<string> {
  const directory = join(REPOSITORY, "artefacts");
  await mkdir(directory, { recursive: true });
  return join(directory, name);
}

async function lookFor(): Promise<FoundChromium> {
  const given = process.env["CHROMIUM"];
  if (given) return mayRun(given) ? { path: given } : { path: null, why: `CHROMIUM=${given} is no program` };
  const found = onPath(NAMES);
  if (found) return { path: found };
  if (!onPath(["apt-get"])) return { path: null, why: "it is not on the PATH, and there is no apt-get" };
  if (process.getuid?.() !== 0) return { path: null, why: "it is not on the PATH, and only root may install it" };
  try {
    await aptGet("update");
    await aptGet("install", "--yes", "--no-install-recommends", "chromium");
  } catch (thrown) {
    return { path: null, why: `it could not be installed: ${String(thrown)}` };
  }
  const installed = onPath(NAMES);
  return installed ? { path: installed } : { path: null, why: "Debian's package chromium brought no program along" };
}

function onPath(names: readonly string[]): string | undefined {
  const directories = (process.env["PATH"] ?? "").split(delimiter).filter(Boolean);
  return names.flatMap((name) => directories.map((directory) => join(directory, name))).find(mayRun);
}

function mayRun(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function aptGet(...args: string[]): Promise<void> {
  const child = spawn("apt-get", args, {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    stdio: ["ignore", "ignore", "pipe"],
    timeout: INSTALL_MS,
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said = (said + text).slice(-500)));
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`apt-get ${args[0]} ended with ${code ?? "a time-out"}: ${said.trim()}`);
}

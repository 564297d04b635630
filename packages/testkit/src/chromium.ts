import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { chromium, type Browser } from "playwright-core";
import { REPOSITORY } from "./cluster.ts";
import { findProgram, type FoundProgram, type WantedProgram } from "./debian-program.ts";

const CHROMIUM: WantedProgram = {
  name: "Chromium",
  names: ["chromium", "chromium-browser", "google-chrome"],
  debianPackage: "chromium",
  variable: "CHROMIUM",
};
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
  // A camera that shows a turning pie, five times a second so that two cores are enough for several calls; a microphone that
  // beeps; and nobody who has to be asked for them.
  "--use-fake-device-for-media-stream=fps=5",
  "--use-fake-ui-for-media-stream",
  // Candidates with addresses: there is no mDNS to resolve names where tests run.
  "--disable-features=WebRtcHideLocalIpsWithMdns",
  // Several windows are open at once, and only one of them is in front.
  "--disable-background-timer-throttling",
  "--disable-backgrounding-occluded-windows",
  "--disable-renderer-backgrounding",
];

/**
 * The Chromium of this machine; see {@link findProgram}.
 * @param skipped what cannot be tested without
 */
export function findChromium(skipped: string): Promise<FoundProgram> {
  return findProgram(CHROMIUM, skipped);
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

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

type Environment = Readonly<Record<string, string | undefined>>;

/** What opens a page on this desktop; null where there is none: by ssh, in a container, on a server. */
export function openerOf(env: Environment, platform: NodeJS.Platform = process.platform): string | null {
  if (env["SSH_CONNECTION"]) return null;
  if (platform === "darwin") return "open";
  return platform === "linux" && (env["DISPLAY"] || env["WAYLAND_DISPLAY"]) ? "xdg-open" : null;
}

/**
 * Opens a page whose address is a secret. It does not stand in the arguments of a process, which anybody on the machine can
 * read, but in a file that only its owner can, and that leads on to it.
 * @param dir where the file is put; for its owner alone
 * @returns what removes the file, once the page is there; null: nothing could be opened
 */
export async function openSecretly(
  url: string,
  opener: string,
  dir: string,
  env: Environment,
): Promise<(() => Promise<void>) | null> {
  const file = join(dir, `dashboard-${randomBytes(8).toString("hex")}.html`);
  await writeFile(file, leadingTo(url), { mode: 0o600, flag: "wx" });
  const remove = (): Promise<void> => rm(file, { force: true });
  if (await ran(opener, file, env)) return remove;
  await remove();
  return null;
}

function leadingTo(url: string): string {
  const address = url.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
  return `<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer"><meta http-equiv="refresh" content="0; url=${address}"><title>Holdover</title>\n`;
}

/** Whether it could be started and did not say that it failed. A browser may stay in the foreground: that is success too. */
function ran(opener: string, file: string, env: Environment): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(opener, [file], { env, stdio: "ignore", detached: true });
    child.once("error", () => resolve(false));
    child.once("exit", (code) => resolve(code === 0));
    child.once("spawn", () => {
      child.unref();
      setTimeout(resolve, OPENED_MS, true).unref();
    });
  });
}

/** What has not failed after so long, ms, has not failed. */
const OPENED_MS = 2000;

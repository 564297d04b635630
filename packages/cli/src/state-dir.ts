import { randomBytes } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { HoldoverError, problemOf } from "@holdover/core";

/** What lies where in the state directory. Everything in it is for its owner alone (0700, files 0600). */
export interface StateDir {
  readonly dir: string;
  /** Pins, the cached table, events on their way to control: written by host alone. */
  readonly hostDatabase: string;
  /** Releases, audit, session history: written by control alone. */
  readonly controlDatabase: string;
  readonly run: string;
  readonly linkSocket: string;
  readonly apiSocket: string;
  /** Where the workers of the instances connect. */
  readonly workerSocket: string;
  readonly addresses: string;
  readonly config: string;
  readonly hostPid: string;
  readonly controlPid: string;
  readonly token: string;
  readonly cookieSecret: string;
  /** Signs the head of the audit log. */
  readonly auditKey: string;
  /** Its public half, to be kept where the log is verified. */
  readonly auditPublicKey: string;
  /** The keys that sign routing tables and certificates. */
  readonly membership: string;
  /** Whom a host and its workers trust at their start: written by control alone. No secret. */
  readonly trust: string;
  readonly releases: string;
  readonly logs: string;
}

export function stateDirOf(dir: string): StateDir {
  const run = join(dir, "run");
  return {
    dir,
    hostDatabase: join(dir, "host.db"),
    controlDatabase: join(dir, "control.db"),
    run,
    linkSocket: join(run, "link.sock"),
    apiSocket: join(run, "control.sock"),
    workerSocket: join(run, "worker.sock"),
    addresses: join(run, "addresses.json"),
    config: join(run, "config.json"),
    hostPid: join(run, "host.pid"),
    controlPid: join(run, "control.pid"),
    token: join(dir, "api-token"),
    cookieSecret: join(dir, "cookie-secret"),
    auditKey: join(dir, "audit-key.pem"),
    auditPublicKey: join(dir, "audit-key.pub"),
    membership: join(dir, "membership"),
    trust: join(dir, "trust.json"),
    releases: join(dir, "releases"),
    logs: join(dir, "logs"),
  };
}

/** @throws HoldoverError STATE_DIR_UNUSABLE */
export async function makeStateDir(state: StateDir): Promise<void> {
  try {
    for (const dir of [state.dir, state.run, state.releases, state.logs]) {
      await mkdir(dir, { recursive: true, mode: 0o700 });
    }
  } catch (cause) {
    throw new HoldoverError("STATE_DIR_UNUSABLE", { dir: state.dir, problem: problemOf(cause) }, { cause });
  }
}

/** Writes a small file whole or not at all: a reader never sees half of it. */
export async function writeWhole(file: string, content: string): Promise<void> {
  const partial = `${file}.${process.pid}.partial`;
  await writeFile(partial, content, { mode: 0o600 });
  await rename(partial, file);
}

/** A secret of 32 random bytes in hex, made when it is first asked for. */
export async function secretAt(file: string): Promise<string> {
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
    const secret = randomBytes(32).toString("hex");
    await writeWhole(file, `${secret}\n`);
    return secret;
  }
}

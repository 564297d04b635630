import { constants } from "node:fs";
import { cp, mkdir, readdir, rm } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { HoldoverError, problemOf } from "@holdover/core";
import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { addExamples } from "../help-text.ts";
import { stateDirOf, type StateDir } from "../state-dir.ts";

export function addBackup(program: Command, cli: Cli): void {
  const command = program
    .command("backup")
    .description("Copy the state directory while Holdover runs: databases, keys and builds")
    .argument("<dir>", "where the copy goes; it must not be there yet")
    .action(cli.action(async (dir: string) => backup(cli, dir)));
  addExamples(command, [
    ["holdover backup backup-1", "to be moved where the state was"],
    ["holdover backup /mnt/$(date +%F)", "one a day"],
  ]);
}

/** @throws HoldoverError BACKUP_FAILED, CONTROL_BUSY, LINK_DOWN; then nothing is left of the copy */
async function backup(cli: Cli, shown: string): Promise<number> {
  const dir = resolve(cli.terminal.cwd, shown);
  const { api, located } = await cli.connect();
  try {
    await mkdir(dir, { mode: 0o700 });
  } catch (cause) {
    throw new HoldoverError("BACKUP_FAILED", { dir: shown, problem: problemOf(cause) }, { cause });
  }
  let releases: number;
  try {
    // First: a release that is deployed from now on is in none of them.
    await api.backup(dir);
    releases = await copyBeside(stateDirOf(located.stateDir), dir);
  } catch (thrown) {
    await rm(dir, { recursive: true, force: true });
    if (thrown instanceof HoldoverError) throw thrown;
    throw new HoldoverError("BACKUP_FAILED", { dir: shown, problem: problemOf(thrown) }, { cause: thrown });
  }
  if (cli.json) cli.printJson({ dir, releases });
  else {
    const builds = `${releases} ${releases === 1 ? "release" : "releases"}`;
    cli.print(`Wrote ${shown}, with ${builds}. It has keys and tokens: keep it as safe as the machine.`);
  }
  return 0;
}

/** What is kept beside the databases. Returns how many releases. */
async function copyBeside(state: StateDir, dir: string): Promise<number> {
  const { token, cookieSecret, auditKey, auditPublicKey, trust, membership } = state;
  for (const file of [token, cookieSecret, auditKey, auditPublicKey, trust, membership]) {
    await copy(file, join(dir, basename(file)));
  }
  let releases = 0;
  for (const service of await readdir(state.releases)) {
    await mkdir(join(dir, "releases", service), { recursive: true, mode: 0o700 });
    for (const release of await readdir(join(state.releases, service))) {
      // One that is only being written is not deployed yet.
      if (release.includes(".partial-")) continue;
      if (await copy(join(state.releases, service, release), join(dir, "releases", service, release))) releases += 1;
    }
  }
  return releases;
}

/** Returns whether it was there to be copied: the build of a release that retires is removed at some moment. */
async function copy(from: string, to: string): Promise<boolean> {
  try {
    // Links lead where they led, and a file system that can shares what is the same.
    const mode = constants.COPYFILE_FICLONE;
    await cp(from, to, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true, mode });
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "ENOENT") throw thrown;
    await rm(to, { recursive: true, force: true });
    return false;
  }
}

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Scene, Strike } from "./scene.ts";

export interface Hang extends Strike {
  /** Health checks that failed before it was given up, as host has written them down. */
  readonly checks: number;
}

/** Stops instances with SIGSTOP, one at a time: their sockets stay open, and nothing is answered any more. */
export async function hangs(scene: Scene, count: number): Promise<Hang[]> {
  const all: Hang[] = [];
  await scene.begin("hang");
  while (all.length < count) {
    const strike = await scene.strike("hang", "SIGSTOP");
    all.push({ ...strike, checks: await silentChecks(scene, strike.victim) });
  }
  return all;
}

async function silentChecks(scene: Scene, instance: string): Promise<number> {
  const lines = (await readFile(join(scene.cluster.stateDir, "logs", "host.log"), "utf8")).trimEnd().split("\n");
  return lines
    .map((line) => JSON.parse(line) as { readonly msg: string; readonly instance?: string })
    .filter((line) => line.msg === "instance-silent" && line.instance === instance).length;
}

import type { Scene, Strike } from "./scene.ts";

/** Crashes in a row on one release: after each, control waits twice as long before it starts the next replacement. */
const CRASHES_A_RELEASE = 3;

/** Kills instances with SIGKILL, one at a time. @param adopted the instances were started by a host process before this one */
export async function crashes(scene: Scene, count: number, adopted: boolean): Promise<Strike[]> {
  const strikes: Strike[] = [];
  while (strikes.length < count) {
    if (strikes.length % CRASHES_A_RELEASE === 0) {
      await scene.begin("crash");
      if (adopted) await scene.restartHost("crash");
    }
    strikes.push(await scene.strike("crash", "SIGKILL"));
  }
  return strikes;
}

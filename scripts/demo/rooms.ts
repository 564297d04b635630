import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { REPOSITORY, startCluster, type Cluster, type ReleaseStatus } from "@holdover/testkit/cluster";
import { gather, type Crowd } from "./crowd.ts";
import { expire, isSound, type Expired } from "./expiring.ts";
import { showProgress, type Progress } from "./progress.ts";
import type { Told } from "./story.ts";

/**
 * Rooms of people who talk, over deploys and a rollback. Not sound if anybody lost a connection or a message, or landed on
 * a wrong release; and if, in the second part, a window that is over did not move everybody gently.
 */

const ROOMS = 40;
const CLIENTS_EACH = 3;
const NEW_ROOMS = 20;
/** Time to talk between two steps, ms. */
const TALK_MS = 800;
const RETIRE_MS = 15_000;

interface Result {
  /** Live sessions (rooms) on v1 when v2 took over. */
  liveAtDeploy: number;
  /** Connections that closed without their client having asked for it. */
  dropped: number;
  messagesLost: number;
  messagesDuplicated: number;
  /** Late joiners and reconnects that did not land on their room's release. */
  joinersOnWrongRelease: number;
  /** New rooms that did not open on the release that was current. */
  newOnOldRelease: number;
  /** From the call to the new table being in force, ms. */
  rollbackMs: number;
  retired: string[];
  /** The second part: a window that is over. */
  expired: Expired | null;
  seconds: number;
}

export async function tellRooms(out: NodeJS.WriteStream): Promise<Told> {
  const startedAt = performance.now();
  let crowd: Crowd | undefined;
  const progress = showProgress(out, () => {
    if (!crowd) return "";
    const { received, dropped } = crowd.account();
    return `${crowd.rooms()} rooms, ${crowd.clients()} clients, ${received} messages delivered, ${dropped} dropped`;
  });
  const result: Result = {
    liveAtDeploy: 0,
    dropped: 0,
    messagesLost: 0,
    messagesDuplicated: 0,
    joinersOnWrongRelease: 0,
    newOnOldRelease: 0,
    rollbackMs: 0,
    retired: [],
    expired: null,
    seconds: 0,
  };
  const cluster = await startCluster({
    services: {
      rooms: {
        dir: example("rooms"),
        release: "v1",
        command: ["node", "server.js"],
        instances: 2,
        session: { key: [{ query: "room" }], linger: "1s" },
        health: { path: "/healthz" },
        retention: { policy: "until-empty", floor: "0s" },
      },
    },
  });
  try {
    crowd = gather(cluster.url);
    await tell({ cluster, crowd, progress, result });
  } finally {
    crowd?.destroy();
    await cluster.stop();
  }
  const expired = await expire(progress);
  result.expired = expired;
  result.seconds = Math.round((performance.now() - startedAt) / 100) / 10;
  return conclude(crowd, expired, result);
}

interface Scene {
  readonly cluster: Cluster;
  readonly crowd: Crowd;
  readonly progress: Progress;
  readonly result: Result;
}

async function tell({ cluster, crowd, progress, result }: Scene): Promise<void> {
  await progress.step("holdover up", async () => {
    await isCurrent(cluster, "v1");
    return "v1 is current";
  });
  await progress.step(`${ROOMS} rooms of ${CLIENTS_EACH} clients open`, async () => {
    result.newOnOldRelease += await crowd.open("old", ROOMS, CLIENTS_EACH, "v1");
    await delay(TALK_MS);
    return counts(crowd);
  });
  await progress.step("holdover deploy rooms --release v2", async () => {
    await deploy(cluster, "v2", "rooms-v2");
    result.liveAtDeploy = (await releaseNow(cluster, "v1")).sessions?.open ?? 0;
    return `v2 is current, v1 keeps ${result.liveAtDeploy} rooms`;
  });
  await progress.step("late joiners into the old rooms", async () => {
    const wrong = await crowd.joinLate("old");
    result.joinersOnWrongRelease += wrong;
    return `${ROOMS - wrong} of ${ROOMS} on v1`;
  });
  await progress.step("reconnects into the old rooms", async () => {
    const wrong = await crowd.reconnect("old");
    result.joinersOnWrongRelease += wrong;
    return `${ROOMS - wrong} of ${ROOMS} on v1`;
  });
  await progress.step(`${NEW_ROOMS} new rooms`, async () => {
    const old = await crowd.open("new", NEW_ROOMS, CLIENTS_EACH, "v2");
    result.newOnOldRelease += old;
    await delay(TALK_MS);
    return `${NEW_ROOMS - old} of ${NEW_ROOMS} on v2`;
  });
  await progress.step("rollback to v1", async () => {
    const calledAt = performance.now();
    const current = await cluster.api<{ id: string }>("POST", "/v1/services/rooms/rollback", {});
    result.rollbackMs = Math.round((performance.now() - calledAt) * 10) / 10;
    if (current.id !== "v1") throw new Error(`the rollback went to ${current.id}`);
    result.newOnOldRelease += await crowd.open("back", 3, CLIENTS_EACH, "v1");
    result.joinersOnWrongRelease += await crowd.joinLate("new");
    return `in force after ${result.rollbackMs} ms, v2 keeps ${(await releaseNow(cluster, "v2")).sessions?.open ?? "?"} rooms`;
  });
  await progress.step("holdover deploy rooms --release v3", async () => {
    await deploy(cluster, "v3", "rooms-v2");
    result.newOnOldRelease += await crowd.open("next", 3, CLIENTS_EACH, "v3");
    result.joinersOnWrongRelease += (await crowd.joinLate("old")) + (await crowd.reconnect("new"));
    await delay(TALK_MS);
    return counts(crowd);
  });
  await progress.step("everybody hangs up", async () => {
    await crowd.hangUp();
    const { sent, received } = crowd.account();
    return `${sent} messages sent, ${received} delivered`;
  });
  await progress.step("v1 and v2 retire", async () => {
    for (const release of ["v1", "v2"]) {
      await cluster.until(
        `${release} is retired`,
        ({ services }) => services[0]?.releases.some(({ id, state }) => id === release && state === "retired"),
        RETIRE_MS,
      );
      result.retired.push(release);
    }
    return "no session, no instance left on them";
  });
}

async function deploy(cluster: Cluster, release: string, build: string): Promise<void> {
  await cluster.succeed("deploy", "rooms", "--release", release, "--dir", example(build));
  await isCurrent(cluster, release);
}

function isCurrent(cluster: Cluster, release: string): Promise<unknown> {
  return cluster.until(`${release} is current`, ({ services }) => services[0]?.current === release);
}

async function releaseNow(cluster: Cluster, release: string): Promise<ReleaseStatus> {
  const found = (await cluster.status()).services[0]?.releases.find(({ id }) => id === release);
  if (!found) throw new Error(`there is no release ${release}`);
  return found;
}

function conclude(crowd: Crowd, expired: Expired, result: Result): Told {
  const { dropped, outstanding, duplicated, misordered, refused } = crowd.account();
  Object.assign(result, { dropped, messagesLost: outstanding, messagesDuplicated: duplicated });
  const { joinersOnWrongRelease, newOnOldRelease, retired } = result;
  const wrong = dropped + outstanding + duplicated + misordered + refused + joinersOnWrongRelease + newOnOldRelease;
  const faults = [
    `${misordered} messages were out of order, ${refused} connections refused.`,
    ...crowd.incidents().slice(0, 20),
  ];
  return {
    sound: wrong === 0 && retired.length === 2 && isSound(expired),
    result,
    faults,
    summary: [
      `${dropped} connections dropped, ${outstanding} messages lost, ${duplicated} duplicated, ` +
        `${joinersOnWrongRelease + newOnOldRelease} on a wrong release, rollback in ${result.rollbackMs} ms, ` +
        `${result.seconds} s in all.`,
      `At the end of a window: ${expired.moved} connections moved with Close 1012 and ${expired.closedOtherwise} closed ` +
        `otherwise, ${expired.mostAtOnce} at once at the most (cap ${expired.cap}), ${expired.backOnNew} came back on v2.`,
    ],
  };
}

function counts(crowd: Crowd): string {
  return `${crowd.rooms()} rooms, ${crowd.clients()} clients, ${crowd.account().received} messages delivered`;
}

function example(name: string): string {
  return join(REPOSITORY, "examples", name);
}

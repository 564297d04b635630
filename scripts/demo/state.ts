import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { REPOSITORY, startCluster, type Cluster } from "@holdover/testkit/cluster";
import { enterRoom, openPaymentService, type Faults, type Party, type PaymentService } from "./consultations.ts";
import { showProgress, type Progress } from "./progress.ts";
import type { Told } from "./story.ts";

/**
 * Consultations that keep a transcript and a payment, over the death of their process and over a change of the formats
 * there and back. Not sound if something was lost that was confirmed, kept twice, or written by a process that had lost
 * the room.
 */

const ROOMS = 12;
/** Rooms that are opened on v2, and go back to v1 when v2 is given up. */
const NEW_ROOMS = 6;
/** Rooms that are opened on v3 and are silent when it is given up. */
const QUIET_ROOMS = 3;
/** Everybody says something this often, ms. */
const TALK_MS = 200;
const TALKED_MS = 1200;
/** Lines that are said up to so much later are said by processes that may have lost the room by then, ms. */
const LATE_MS = 1500;
const LATE_STEP_MS = 30;
const CAPTURE_MS = 400;
const CENTS = 4900;
const UNTIL_MS = 30_000;

interface Result {
  /** Lines that were confirmed, and missing whenever somebody looked. */
  lostAcknowledgedWrites: number;
  duplicatedWrites: number;
  /** Lines that a process wrote which had lost the room. */
  staleWritesAccepted: number;
  /** Payments that were begun and not captured in the end. */
  paymentsLost: number;
  /** Rooms that could not be read by the release they came to. */
  roomsUnreadable: number;
  /** Tried by a process that had lost the room, and refused by the store. */
  staleWritesRefused: number;
  acknowledged: number;
  rooms: number;
  /** Clients that were cut off and came back. */
  returns: number;
  seconds: number;
}

export async function tellState(out: NodeJS.WriteStream): Promise<Told> {
  const startedAt = performance.now();
  const parties: Party[] = [];
  const progress = showProgress(out, () => `${acknowledged(parties)} lines kept`);
  const payments = await openPaymentService(CAPTURE_MS);
  const cluster = await startCluster({
    services: {
      consultation: {
        dir: join(REPOSITORY, "examples", "consultation-chat"),
        release: "v1",
        command: ["node", "main.ts"],
        instances: 2,
        env: { PAYMENTS_URL: payments.url },
        health: { path: "/livez" },
        session: { key: [{ query: "room" }], linger: "30s" },
        // A few at a time: whoever is left behind keeps its process running, and with it the work for rooms that have gone.
        disconnects: { atOnce: "25%", period: "500ms" },
        retention: { policy: "until-empty", floor: "10m", grace: "10s" },
      },
    },
  });
  try {
    return await tell(cluster, payments, parties, progress, startedAt);
  } finally {
    for (const party of parties) party.close();
    await cluster.stop();
    await payments.close();
  }
}

async function tell(
  cluster: Cluster,
  payments: PaymentService,
  parties: Party[],
  progress: Progress,
  startedAt: number,
): Promise<Told> {
  const faults: Faults = { lost: new Set(), twice: new Set(), stale: new Set() };
  const webSocketUrl = cluster.url.replace("http", "ws");
  const open = (prefix: string, count: number): void => {
    for (let room = 1; room <= count; room++) {
      for (const name of ["advisor", "customer"]) {
        parties.push(enterRoom(webSocketUrl, `${prefix}-${room}`, name, faults));
      }
    }
  };
  let turn = 0;
  const talk = (): void => {
    turn += 1;
    for (const [index, party] of parties.entries()) if (index % 4 === turn % 4) party.say();
  };
  const whereIs = (prefix: string, release: string) =>
    allOn(
      parties.filter(({ room }) => room.startsWith(prefix)),
      release,
    );
  const v2 = join(REPOSITORY, "examples", "consultation-chat-v2");
  let talking: NodeJS.Timeout | undefined;

  await progress.step("holdover up: v1, two instances", async () => {
    await isCurrent(cluster, "v1");
    open("old", ROOMS);
    await whereIs("old", "v1");
    talking = setInterval(talk, TALK_MS / 4);
    await delay(TALKED_MS);
    return `${ROOMS} rooms, two in each`;
  });
  await progress.step("kill -9 of one instance, payments under way", async () => {
    for (const party of parties) if (party.room.startsWith("old-")) party.pay(CENTS);
    await delay(CAPTURE_MS / 2);
    const [instance = ""] = [...(await cluster.instancePids()).keys()];
    await cluster.kill({ instance }, "SIGKILL");
    await whereIs("old", "v1");
    await delay(TALKED_MS);
    return `${instance} died; its rooms are on others, transcripts whole`;
  });
  await progress.step("holdover deploy --release v2: other formats", async () => {
    await cluster.succeed("deploy", "consultation", "--release", "v2", "--dir", v2);
    await isCurrent(cluster, "v2");
    open("new", NEW_ROOMS);
    await whereIs("new", "v2");
    for (const party of parties) if (party.room.startsWith("new-")) party.pay(CENTS);
    await delay(TALKED_MS);
    return `${NEW_ROOMS} new rooms on v2, the others stay on v1`;
  });
  await progress.step("holdover rollback; v2 is given up", async () => {
    await cluster.succeed("rollback", "consultation");
    await isCurrent(cluster, "v1");
    sayLate(parties);
    await cluster.succeed("retire", "consultation", "v2");
    await whereIs("new", "v1");
    await delay(LATE_MS);
    return "its rooms go on on v1, which reads what v2 wrote";
  });
  await progress.step("v3, with the formats of v2; v1 is given up", async () => {
    await cluster.succeed("deploy", "consultation", "--release", "v3", "--dir", v2);
    await isCurrent(cluster, "v3");
    sayLate(parties);
    await cluster.succeed("retire", "consultation", "v1");
    await whereIs("", "v3");
    await delay(LATE_MS);
    return `all ${ROOMS + NEW_ROOMS} rooms are on v3`;
  });
  await progress.step("kill -9 of the host: instances live on", async () => {
    await cluster.kill("host", "SIGKILL");
    await cluster.restart();
    await whereIs("", "v3");
    await delay(TALKED_MS);
    return "the next host adopted them";
  });
  await progress.step("v4, with the formats of v1; v3 is given up", async () => {
    // Nothing of them was ever written for version 1, and nothing is any more when its release comes.
    open("quiet", QUIET_ROOMS);
    await whereIs("quiet", "v3");
    for (const party of parties) if (party.room.startsWith("quiet-")) party.pay(CENTS);
    await delay(TALKED_MS);
    clearInterval(talking);
    await Promise.all(parties.map((party) => party.settled()));
    const v1 = join(REPOSITORY, "examples", "consultation-chat");
    await cluster.succeed("deploy", "consultation", "--release", "v4", "--dir", v1);
    await isCurrent(cluster, "v4");
    await cluster.succeed("retire", "consultation", "v3");
    await whereIs("", "v4");
    return "rooms that say nothing any more go back as well";
  });
  await progress.step("everything that was confirmed is there", async () => {
    // Somebody who comes late sees what everybody was told.
    const before = parties.splice(0);
    for (const { room } of before.filter((_, index) => index % 2 === 0)) {
      parties.push(enterRoom(webSocketUrl, room, "witness", faults));
    }
    await whereIs("", "v4");
    for (const witness of parties) compare(witness, before, faults);
    for (const party of before) party.close();
    parties.push(...before);
    return `${acknowledged(parties)} lines in ${ROOMS + NEW_ROOMS + QUIET_ROOMS} rooms`;
  });

  const logged = await logsOf(cluster);
  const rooms = new Set(parties.map(({ room }) => room));
  const result: Result = {
    lostAcknowledgedWrites: faults.lost.size,
    duplicatedWrites: faults.twice.size,
    staleWritesAccepted: faults.stale.size,
    paymentsLost: [...rooms].filter((room) => !payments.captured.has(room)).length,
    roomsUnreadable: logged.filter(({ event }) => event === "room.unreadable").length,
    staleWritesRefused: logged.filter(({ code }) => code === "CHECKPOINT_STALE").length,
    acknowledged: acknowledged(parties),
    rooms: rooms.size,
    returns: parties.reduce((sum, party) => sum + party.returns(), 0),
    seconds: Math.round((performance.now() - startedAt) / 100) / 10,
  };
  const zeros =
    result.lostAcknowledgedWrites +
    result.duplicatedWrites +
    result.staleWritesAccepted +
    result.paymentsLost +
    result.roomsUnreadable;
  return {
    // Without a write that came too late it would not have shown that one is refused.
    sound: zeros === 0 && result.staleWritesRefused > 0,
    result,
    faults: [...faults.lost, ...faults.twice, ...faults.stale, ...logged.map((entry) => JSON.stringify(entry))].slice(
      0,
      20,
    ),
    summary: [
      `${result.acknowledged} lines were confirmed: ${result.lostAcknowledgedWrites} lost, ${result.duplicatedWrites} twice, ` +
        `${result.staleWritesAccepted} by a process that had lost the room (${result.staleWritesRefused} such were refused).`,
      `${result.rooms} rooms, ${result.rooms - result.paymentsLost} payments, each captured once; clients came back ` +
        `${result.returns} times; ${result.seconds} s in all.`,
    ],
  };
}

/** Lines that their process says when it may have lost the room. */
function sayLate(parties: readonly Party[]): void {
  for (const party of parties) for (let ms = LATE_STEP_MS; ms <= LATE_MS; ms += LATE_STEP_MS * 5) party.say(ms);
}

/** Everything that was confirmed to anybody has to be in the transcript that a witness sees. */
function compare(witness: Party, parties: readonly Party[], faults: Faults): void {
  const lines = new Set(witness.welcome()?.lines.map(({ id }) => id));
  for (const party of parties) {
    if (party.room !== witness.room) continue;
    for (const id of party.kept) if (!lines.has(id)) faults.lost.add(`${party.room} ${id}`);
  }
}

function acknowledged(parties: readonly Party[]): number {
  return parties.reduce((sum, { kept }) => sum + kept.size, 0);
}

async function isCurrent(cluster: Cluster, release: string): Promise<void> {
  await cluster.until(
    `${release} is current`,
    (status) =>
      status.services[0]?.releases.some(({ id, state }) => id === release && state === "current") || undefined,
    UNTIL_MS,
  );
}

/** Resolves when all of them are in their rooms, on that release. */
async function allOn(parties: readonly Party[], release: string): Promise<void> {
  const untilMs = performance.now() + UNTIL_MS;
  for (;;) {
    const elsewhere = parties.filter((party) => party.welcome()?.release !== release);
    if (elsewhere.length === 0) return;
    if (performance.now() > untilMs) {
      const { room } = elsewhere[0] ?? { room: "" };
      throw new Error(`${elsewhere.length} clients are not on ${release}, ${room} among them`);
    }
    await delay(20);
  }
}

interface Logged {
  readonly event: string;
  readonly code?: string | null;
}

/** What the instances have logged. */
async function logsOf(cluster: Cluster): Promise<Logged[]> {
  const dir = join(cluster.stateDir, "logs", "consultation");
  const files = (await readdir(dir, { recursive: true })).filter((file) => file.endsWith(".log"));
  const texts = await Promise.all(files.map((file) => readFile(join(dir, file), "utf8")));
  return texts
    .flatMap((text) => text.split("\n"))
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Logged);
}
